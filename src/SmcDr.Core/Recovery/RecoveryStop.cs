using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery;

/// <summary>Where a target lies in the archive.</summary>
/// <param name="Coverage">The WAL along the timeline that is followed.</param>
/// <param name="StopAt">What PostgreSQL is told; null = to replay all.</param>
/// <param name="NeededLsn">Up to where WAL is needed; null = all.</param>
/// <param name="Reason">In words.</param>
internal sealed record RecoveryStop(WalCoverage Coverage, RecoveryTarget? StopAt, Lsn? NeededLsn, string Reason);
