namespace SmcDr.Core.Regions.Failover;

/// <summary>What was found when a failover began.</summary>
/// <param name="StartTime">When that was, in UTC.</param>
/// <param name="PrimaryLsn">The end of the old primary's WAL as far as anybody knew; null where nobody did.</param>
/// <param name="IsPrimaryExact">Whether the primary itself said so.</param>
internal sealed record FailoverFacts(DateTimeOffset StartTime, Lsn? PrimaryLsn, bool IsPrimaryExact);

/// <summary>How the old primary was stopped.</summary>
/// <param name="Lsn">What the new primary must have replayed so that nothing is lost; null where it was not stopped cleanly.</param>
/// <param name="HasStopped">Whether it was at work and was stopped by this plan.</param>
internal sealed record PrimaryStop(Lsn? Lsn, bool HasStopped);

/// <summary>A record that was changed, so that it can be changed back.</summary>
/// <param name="Undo">What takes it back.</param>
internal sealed record DnsSwitch(string? Undo);

/// <summary>When the new primary was found to take writes, in UTC.</summary>
internal sealed record FailoverWrites(DateTimeOffset Time);

/// <summary>What a failover came to.</summary>
/// <param name="RtoSeconds">From the command until the new primary was found to take writes.</param>
/// <param name="SwitchLsn">Where the new timeline begins.</param>
/// <param name="LostBytes">WAL of the old primary behind that; null where it is not known.</param>
/// <param name="LostTransactions">Commits in it; null where its WAL could not be read.</param>
/// <param name="FirstLost">When the first of them was committed; null where there is none, or it is not known.</param>
/// <param name="LastLost">When the last of them was.</param>
internal sealed record FailoverReport(
    double RtoSeconds, Lsn? SwitchLsn, long? LostBytes, long? LostTransactions, DateTimeOffset? FirstLost, DateTimeOffset? LastLost);
