namespace SmcDr;

/// <summary>What copying a backup, or a cluster's write-ahead log, to another repository came to.</summary>
public sealed record BackupCopyResult
{
    /// <summary>The id of the backup; of write-ahead log, PostgreSQL's system identifier of the cluster.</summary>
    public required string Id { get; init; }

    /// <summary>The component that was backed up; <c>Wal</c> for write-ahead log.</summary>
    public required string Component { get; init; }

    /// <summary>
    /// <c>Complete</c>: the destination has all of it. <c>Partial</c>: something was damaged or missing; it was not copied, and a backup
    /// has no marker at the destination, so that nobody restores it from there.
    /// </summary>
    public required string State { get; init; }

    /// <summary>How many objects were copied.</summary>
    public required long CopiedObjects { get; init; }

    /// <summary>What was copied, in bytes.</summary>
    public required long CopiedBytes { get; init; }

    /// <summary>How many objects the destination had already.</summary>
    public required long PresentObjects { get; init; }

    /// <summary>What the destination had already, in bytes.</summary>
    public required long PresentBytes { get; init; }

    /// <summary>How long it took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>What was not copied, and why.</summary>
    public required IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); }

    /// <summary>Where it was copied from.</summary>
    public required string Source { get; init; }

    /// <summary>Where it was copied to.</summary>
    public required string Destination { get; init; }
}
