namespace SmcDr;

/// <summary>What holds now of a component's objectives. What is not known is said to be, and no number stands for it.</summary>
public sealed record ObjectiveResult
{
    /// <summary>The site.</summary>
    public required string Site { get; init; }

    /// <summary>The component: <c>Database</c>, <c>Redis</c>, <c>Configuration</c> or <c>FileStore</c>.</summary>
    public required string Component { get; init; }

    /// <summary>The name of the file store; none for the others.</summary>
    public string? Subject { get; init; }

    /// <summary>
    /// The worse of both: <c>Met</c>; <c>AtRisk</c> where 80 % of an objective are used up, or nothing streams; <c>Unknown</c> where nobody can say;
    /// <c>Missed</c>.
    /// </summary>
    public required string Verdict { get; init; }

    /// <summary>The same for the data that may be lost; none where the site has no such objective.</summary>
    public string? RpoVerdict { get; init; }

    /// <summary>The same for the time that a recovery may take; none where the site has no such objective.</summary>
    public string? RtoVerdict { get; init; }

    /// <summary>The longest time whose changes may be lost.</summary>
    public TimeSpan? Rpo { get; init; }

    /// <summary>The longest time until the component works again.</summary>
    public TimeSpan? Rto { get; init; }

    /// <summary>How old, in seconds, the oldest change is that would be lost if the component were gone now; none where nobody can say.</summary>
    public double? LossSeconds { get; init; }

    /// <summary>Whether it may be less: of what is backed up from time to time, or cannot be asked now, only the age of what is stored is known.</summary>
    public bool LossIsBound { get; init; }

    /// <summary>For a database, how much write-ahead log the server has flushed that would be lost, in bytes.</summary>
    public long? LossBytes { get; init; }

    /// <summary>
    /// How long a recovery of the newest backup, with all that is behind it, is predicted to take, in seconds: by what earlier recoveries of this component took. None
    /// where none was measured.
    /// </summary>
    public double? PredictedRecoverySeconds { get; init; }

    /// <summary>How many earlier recoveries the prediction is made of.</summary>
    public int MeasuredRecoveryCount { get; init; }

    /// <summary>The backup that a recovery would begin with.</summary>
    public string? BackupId { get; init; }

    /// <summary>When it began, in UTC.</summary>
    public DateTimeOffset? BackupTime { get; init; }

    /// <summary>What it holds, in bytes.</summary>
    public long? BackupBytes { get; init; }

    /// <summary>For a database, the write-ahead log that would be replayed, in bytes.</summary>
    public long? WalBytes { get; init; }

    /// <summary>For a database, the commit time of the newest transaction that can be recovered, in UTC.</summary>
    public DateTimeOffset? RecoverableTime { get; init; }

    /// <summary>For a database, whether a stream gives signs of life; none where there is no backup that it could follow.</summary>
    public bool? IsStreaming { get; init; }

    /// <summary>The newest point that a recovery has really brought back, in UTC; none where none was measured.</summary>
    public DateTimeOffset? ProvenTime { get; init; }

    /// <summary>When that recovery began, in UTC.</summary>
    public DateTimeOffset? LastRecoveryTime { get; init; }

    /// <summary>What stands in the way, each in a sentence.</summary>
    public IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>When this was measured, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
