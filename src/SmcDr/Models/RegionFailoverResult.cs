namespace SmcDr;

/// <summary>What leading a site to another region has come to: how long it took and what was lost, measured beside what the site allows.</summary>
public sealed record RegionFailoverResult
{
    /// <summary>The site's name.</summary>
    public required string Site { get; init; }

    /// <summary>The plan's id; none where it kept no journal.</summary>
    public string? PlanId { get; init; }

    /// <summary>The region that led.</summary>
    public required string From { get; init; }

    /// <summary>The region that leads now.</summary>
    public required string To { get; init; }

    /// <summary>Whether the old primary was shut down first, so that nothing is lost.</summary>
    public bool IsPlanned { get; init; }

    /// <summary><c>Missed</c> where an objective of the site's database is, <c>Met</c> where all are; none without one, and where one could not be
    /// measured.</summary>
    public string? Verdict => RtoVerdict == ObjectiveVerdict.Missed || RpoVerdict == ObjectiveVerdict.Missed ? ObjectiveVerdict.Missed
        : (Rto is not null || Rpo is not null) && (Rpo is null || RpoVerdict is not null) ? ObjectiveVerdict.Met
        : null;

    /// <summary>When it was asked for, in UTC: from here on the time counts. Of a failback, when the switchover at its end began: until then the other
    /// region served.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>When the new primary committed its first write, in UTC.</summary>
    public required DateTimeOffset WriteTime { get; init; }

    /// <summary>How long it took until then, pauses between runs among it.</summary>
    public TimeSpan MeasuredRto => WriteTime - StartTime;

    /// <summary>The same in seconds.</summary>
    public double MeasuredRtoSeconds => MeasuredRto.TotalSeconds;

    /// <summary>How long that may take.</summary>
    public TimeSpan? Rto { get; init; }

    /// <summary><c>Met</c> or <c>Missed</c>; none without an objective.</summary>
    public string? RtoVerdict => ObjectiveVerdict.Judge(Rto, MeasuredRtoSeconds);

    /// <summary>How many transactions the old primary had committed and nobody else has; none where that cannot be told.</summary>
    public long? LostTransactions { get; init; }

    /// <summary>How much WAL of the old primary that is, in bytes; none where that cannot be told.</summary>
    public long? LostBytes { get; init; }

    /// <summary>When the first of them was committed, in UTC.</summary>
    public DateTimeOffset? FirstLostTime { get; init; }

    /// <summary>When the last of them was committed, in UTC.</summary>
    public DateTimeOffset? LastLostTime { get; init; }

    /// <summary>How long before the last of them the first was, in seconds: 0 where nothing was lost; none where that cannot be told.</summary>
    public double? LossSeconds { get; init; }

    /// <summary>The longest time whose changes may be lost.</summary>
    public TimeSpan? Rpo { get; init; }

    /// <summary><c>Met</c> or <c>Missed</c>; none without an objective, and where the loss cannot be told.</summary>
    public string? RpoVerdict => LossSeconds is { } seconds ? ObjectiveVerdict.Judge(Rpo, seconds) : null;

    /// <summary>The timeline that the new primary writes.</summary>
    public long Timeline { get; init; }

    /// <summary>Where that begins; none where the new primary has no history of it.</summary>
    public Lsn? SwitchLsn { get; init; }

    /// <summary>What takes the change of the DNS record back, for Set-SmcDnsRecord -Undo and 'smcdr dns undo'; none where it was not changed.</summary>
    public string? DnsUndo { get; init; }
}
