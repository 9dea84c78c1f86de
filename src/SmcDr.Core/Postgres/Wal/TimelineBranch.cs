namespace SmcDr.Core.Postgres.Wal;

/// <summary>A line of a history file: up to where an ancestor's WAL belongs to the timeline.</summary>
/// <param name="Timeline">The ancestor.</param>
/// <param name="SwitchLsn">Where it was left.</param>
/// <param name="Reason">What the server wrote about it, for people.</param>
public sealed record TimelineBranch(uint Timeline, Lsn SwitchLsn, string Reason);
