namespace SmcDr.Core.Redis.Restore;

/// <summary>What a restore of a Redis server would do, after everything was looked at.</summary>
public sealed record RedisRestorePlan
{
    /// <summary>The backup.</summary>
    public required string BackupId { get; init; }

    /// <summary>How it is restored.</summary>
    public required RedisRestoreMethod Method { get; init; }

    /// <summary>Host and port of the server.</summary>
    public required string Target { get; init; }

    /// <summary>How many keys the backup has in what is restored, before names are looked at; null where the backup does not say.</summary>
    public long? KeyCount { get; init; }

    /// <summary>How many keys the server has now; null where that is not known.</summary>
    public long? TargetKeyCount { get; init; }

    /// <summary>Whether anything that the server has is replaced or removed.</summary>
    public required bool ReplacesData { get; init; }

    /// <summary>What will be done, in order, a sentence each.</summary>
    public required IReadOnlyList<string> Steps { get; init; }

    /// <summary>What whoever decides should know.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>What must be suspended while the server is restored, such as Sentinel; null where nothing was found.</summary>
    public string? SuspendFirst { get; init; }

    /// <summary>The plan as lines.</summary>
    public IReadOnlyList<string> Describe() =>
        [.. Steps, .. Warnings.Select(static warning => $"Warning: {warning}"), .. SuspendFirst is null ? (string[])[] : [$"First: {SuspendFirst}"]];
}
