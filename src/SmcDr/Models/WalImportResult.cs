namespace SmcDr;

/// <summary>What an import of write-ahead log did.</summary>
public sealed record WalImportResult
{
    /// <summary>The directory that it came from.</summary>
    public required string Path { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public required string SystemId { get; init; }

    /// <summary><c>Complete</c>; <c>Partial</c> where a file was refused.</summary>
    public required string State { get; init; }

    /// <summary>The number of whole segments that were stored.</summary>
    public required long ImportedCount { get; init; }

    /// <summary>The number of segments, partial ones and history files that were there already, with the same content.</summary>
    public required long PresentCount { get; init; }

    /// <summary>The number of partial segments, at the ends of timelines, that were stored up to their last record.</summary>
    public required long PartialCount { get; init; }

    /// <summary>The number of history files that were stored.</summary>
    public required long HistoryCount { get; init; }

    /// <summary>The number of files that were refused.</summary>
    public required long RefusedCount { get; init; }

    /// <summary>The files that were refused, and why.</summary>
    public required IReadOnlyList<WalImportProblem> Refused { get; init => field = ResultList.Of(value); }

    /// <summary>The number of backup labels, which hold no write-ahead log and were left.</summary>
    public required long LabelCount { get; init; }

    /// <summary>Files that belong to no archive of write-ahead log, and were left.</summary>
    public required IReadOnlyList<string> Unknown { get; init => field = ResultList.Of(value); }

    /// <summary>The first segment that is in the repository now and in the directory as well.</summary>
    public string? FirstSegment { get; init; }

    /// <summary>The last one.</summary>
    public string? LastSegment { get; init; }

    /// <summary>The write-ahead log that was stored, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>How long it took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;
}
