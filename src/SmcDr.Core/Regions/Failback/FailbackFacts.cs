namespace SmcDr.Core.Regions.Failback;

/// <summary>Where the history of a former primary and that of the region that leads part.</summary>
/// <param name="Lineage">The timelines of the former primary, newest first.</param>
/// <param name="LeaderTimeline">The timeline of the one that leads.</param>
/// <param name="Left">Up to where both are the same; null where they are on the same timeline.</param>
internal sealed record FailbackFacts(IReadOnlyList<uint> Lineage, uint LeaderTimeline, Lsn? Left);

/// <summary>What was kept of a former primary before it was overwritten.</summary>
/// <param name="Directory">Where.</param>
/// <param name="EndLsn">Where its WAL ends; null as long as it is not kept.</param>
/// <param name="Transactions">How many transactions are listed.</param>
/// <param name="WalDetail">What was found in its WAL, in sentences; null as long as that is not kept.</param>
/// <param name="Rows">How many rows were exported; null as long as they are not.</param>
internal sealed record KeptLoss(string Directory, Lsn? EndLsn, long? Transactions, string? WalDetail = null, long? Rows = null);

/// <summary>How a former primary is made a standby.</summary>
/// <param name="Method"><c>Rewind</c>, <c>Delta</c>, or <c>Follow</c> where it is a standby that only has to be started.</param>
/// <param name="IsRewound">Whether pg_rewind has ended well.</param>
/// <param name="Reason">Why the database is not rewound; null where it is.</param>
internal sealed record Rejoining(string Method, bool IsRewound, string? Reason)
{
    public const string Rewind = "Rewind";
    public const string Delta = "Delta";
    public const string Follow = "Follow";
}
