namespace SmcDr;

/// <summary>What a restore of a Redis server did.</summary>
public sealed record RedisRestoreResult
{
    /// <summary>The backup that was restored.</summary>
    public required string BackupId { get; init; }

    /// <summary>How it was restored.</summary>
    public required RedisRestoreMethod Method { get; init; }

    /// <summary>Host and port of the server that was restored to.</summary>
    public required string Target { get; init; }

    /// <summary><c>Complete</c>; <c>Partial</c> where keys or functions of the backup that were asked for are not on the server.</summary>
    public required string State { get; init; }

    /// <summary>The number of keys of the backup that the server took.</summary>
    public required long KeysRestored { get; init; }

    /// <summary>The number of keys whose time to live had passed by the server's clock, and which are left out for that.</summary>
    public required long KeysExpired { get; init; }

    /// <summary>The number of keys that were not asked for: other databases, other names, and collections without elements, which no server takes.</summary>
    public required long KeysSkipped { get; init; }

    /// <summary>The number of keys that the server did not take.</summary>
    public required long KeysFailed { get; init; }

    /// <summary>The size of the keys and values that the server took as they are in the backup, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>The numbers of the databases that were restored, separated by commas.</summary>
    public required string Databases { get; init; }

    /// <summary>The number of libraries of functions that were restored.</summary>
    public required int Functions { get; init; }

    /// <summary>The modules' types that the backup has and the server does not know, separated by commas; their keys are among those that failed.</summary>
    public string? MissingModules { get; init; }

    /// <summary>Whether the server's content was compared with the backup and is the same; null where it was not compared.</summary>
    public bool? Verified { get; init; }

    /// <summary>The number of keys whose values were compared.</summary>
    public required long SampledKeys { get; init; }

    /// <summary>How many of these are missing, or have another value or time to live than in the backup.</summary>
    public required long MismatchedKeys { get; init; }

    /// <summary>How many warnings there were.</summary>
    public required int WarningCount { get; init; }

    /// <summary>The first of what went wrong with single keys and functions, and of differences that were found.</summary>
    public required IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); }

    /// <summary>What must be suspended while the server is restored, such as Sentinel; null where nothing was found.</summary>
    public string? SuspendFirst { get; init; }

    /// <summary>When it began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long it took, verification included.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>How many keys the server took each second while they were sent, or loaded.</summary>
    public required double KeysPerSecond { get; init; }

    /// <summary>How many bytes of the backup that was each second.</summary>
    public required double BytesPerSecond { get; init; }
}
