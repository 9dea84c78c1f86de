namespace SmcDr.Core.Postgres.Wal;

/// <summary>How a transaction ended. Recovery to a time or a transaction can stop at each of them.</summary>
public enum WalTransactionKind
{
    /// <summary>COMMIT.</summary>
    Commit,

    /// <summary>ROLLBACK.</summary>
    Abort,

    /// <summary>COMMIT PREPARED.</summary>
    CommitPrepared,

    /// <summary>ROLLBACK PREPARED.</summary>
    AbortPrepared,
}
