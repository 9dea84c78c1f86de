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
    public required IReadOnlyList<DrillStep> Steps { get; init; }
}
