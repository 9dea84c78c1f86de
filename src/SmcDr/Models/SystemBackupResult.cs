namespace SmcDr;

/// <summary>A backup of a whole system: of each of its parts, taken beside each other.</summary>
public sealed record SystemBackupResult
{
    /// <summary>The site's name.</summary>
    public required string Site { get; init; }

    /// <summary><c>Complete</c>; <c>Partial</c> where something is missing, be it a part or in one; <c>Failed</c> where nothing was backed up.</summary>
    public required string State { get; init; }

    /// <summary>The label that the backups share.</summary>
    public required string Label { get; init; }

    /// <summary>When it was begun, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long it took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>The same in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>
    /// How far the instants lie apart that the parts hold, in seconds: of the database the end of its backup, of all else the beginning. None with fewer
    /// than two parts. With WAL the database can be recovered to the instant of another part.
    /// </summary>
    public double? SkewSeconds { get; init; }

    /// <summary>The backups.</summary>
    public IReadOnlyList<BackupInfo> Backups { get; init => field = ResultList.Of(value); } = new ResultList<BackupInfo>([]);

    /// <summary>What was not backed up, and why, a sentence each.</summary>
    public IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
