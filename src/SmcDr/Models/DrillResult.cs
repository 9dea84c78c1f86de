namespace SmcDr;

/// <summary>What a drill found.</summary>
public sealed record DrillResult
{
    /// <summary>Whether everything that was promised held.</summary>
    public required bool Succeeded { get; init; }

    /// <summary>Rows whose commit the server acknowledged before the disaster, over both disasters.</summary>
    public required long Acknowledged { get; init; }

    /// <summary>Of those, the rows that recovery brought back.</summary>
    public required long Recovered { get; init; }

    /// <summary>Of those, the rows that are lost.</summary>
    public required long LostAcknowledged { get; init; }

    /// <summary>Rows found that should not be there: committed after the target instant, or never written.</summary>
    public required long UnexpectedRows { get; init; }

    /// <summary>Measured data loss, in seconds: from the earliest lost commit to the disaster; zero where nothing is lost.</summary>
    public required double RpoSeconds { get; init; }

    /// <summary>Measured time to recover, in seconds: the longest of the drill's recoveries.</summary>
    public required double RtoSeconds { get; init; }

    /// <summary>The objective for data loss, in seconds.</summary>
    public required double RpoObjectiveSeconds { get; init; }

    /// <summary>The objective for time to recover, in seconds.</summary>
    public required double RtoObjectiveSeconds { get; init; }

    /// <summary>Keys whose writing Redis acknowledged before it was destroyed; null where Redis had no part, or was not restored.</summary>
    public long? RedisAcknowledged { get; init; }

    /// <summary>Of those, the keys that the restore brought back.</summary>
    public long? RedisRecovered { get; init; }

    /// <summary>Of those, the keys that are lost: what was written since the backup.</summary>
    public long? RedisLostAcknowledged { get; init; }

    /// <summary>Keys found that should not be there: written after the server was gone, or never.</summary>
    public long? RedisUnexpectedKeys { get; init; }

    /// <summary>What Redis lost, in seconds: from the earliest lost key to the disaster; null where Redis had no part, or was not restored.</summary>
    public double? RedisRpoSeconds { get; init; }

    /// <summary>Measured time to restore Redis, in seconds; null where Redis had no part, or was not restored.</summary>
    public double? RedisRtoSeconds { get; init; }

    /// <summary>The objective for what Redis loses, in seconds.</summary>
    public double RedisRpoObjectiveSeconds { get; init; }

    /// <summary>The objective for time to restore Redis, in seconds.</summary>
    public double RedisRtoObjectiveSeconds { get; init; }

    /// <summary>The version of Redis.</summary>
    public string? RedisServerVersion { get; init; }

    /// <summary>Why Redis had no part in the drill; null where it had.</summary>
    public string? RedisLeftOut { get; init; }

    /// <summary>The server's version.</summary>
    public string? ServerVersion { get; init; }

    /// <summary>The size of the database cluster, in bytes.</summary>
    public long DatabaseBytes { get; init; }

    /// <summary>When the drill began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long the drill took, in seconds.</summary>
    public required double DurationSeconds { get; init; }

    /// <summary>Where the report was written.</summary>
    public string? ReportPath { get; init; }

    /// <summary>The steps in order.</summary>
    public required IReadOnlyList<DrillStep> Steps { get; init => field = ResultList.Of(value); }
}
