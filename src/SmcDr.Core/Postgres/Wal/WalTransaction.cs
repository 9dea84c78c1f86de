namespace SmcDr.Core.Postgres.Wal;

/// <summary>The end of a transaction as a record of the WAL tells it.</summary>
/// <param name="Kind">How it ended.</param>
/// <param name="Xid">The transaction; for a prepared one its own id, not that of the command that ended it.</param>
/// <param name="Time">The server's clock at its end: what <c>recovery_target_time</c> is compared with.</param>
/// <param name="StartLsn">Where the record begins: what <c>recovery_target_lsn</c> is compared with.</param>
/// <param name="EndLsn">Where the record ends.</param>
public sealed record WalTransaction(WalTransactionKind Kind, uint Xid, DateTimeOffset Time, Lsn StartLsn, Lsn EndLsn)
{
    /// <summary>Whether it took effect.</summary>
    public bool IsCommit => Kind is WalTransactionKind.Commit or WalTransactionKind.CommitPrepared;
}
