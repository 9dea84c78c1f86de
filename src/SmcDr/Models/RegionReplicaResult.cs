namespace SmcDr;

/// <summary>What was done to make a region follow another one.</summary>
public sealed record RegionReplicaResult
{
    /// <summary>The region that follows.</summary>
    public required string Region { get; init; }

    /// <summary>The region that it follows.</summary>
    public required string Source { get; init; }

    /// <summary><c>Database</c> or <c>Redis</c>.</summary>
    public required string Component { get; init; }

    /// <summary><c>Created</c>, <c>Changed</c>, or <c>Unchanged</c> where all was as it should be.</summary>
    public required string State { get; init; }

    /// <summary>What was changed, each a sentence.</summary>
    public IReadOnlyList<string> Changes { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>The server that follows: host and port.</summary>
    public string? Server { get; init; }

    /// <summary>The data directory of the standby.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>Where the previous data directory is; null where there was none, or it was used again.</summary>
    public string? PreviousDataDirectory { get; init; }

    /// <summary>The base backup that it was made from; null where it was there already.</summary>
    public string? BackupId { get; init; }

    /// <summary>Of that backup, how much was fetched, in bytes.</summary>
    public long? FetchedBytes { get; init; }

    /// <summary>Of that backup, how much was right in the old data directory and kept, in bytes.</summary>
    public long? KeptBytes { get; init; }

    /// <summary>The replication slot on the primary.</summary>
    public string? Slot { get; init; }

    /// <summary>Whether it hears its primary now: <c>Streaming</c>, or <c>Archive</c> where its WAL comes from the repository. Of Redis, <c>Up</c> or
    /// <c>Down</c>.</summary>
    public string? Link { get; init; }

    /// <summary>How long it took.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>The same in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;
}
