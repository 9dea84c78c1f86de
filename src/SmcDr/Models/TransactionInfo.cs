namespace SmcDr;

/// <summary>A committed transaction, found in the write-ahead log, that removed or changed much.</summary>
public sealed record TransactionInfo
{
    /// <summary>The transaction, by its 32-bit id.</summary>
    public required long Xid { get; init; }

    /// <summary>What it did.</summary>
    public required TransactionKinds Kind { get; init; }

    /// <summary>When it was committed, by the server's clock, in UTC.</summary>
    public required DateTimeOffset CommitTime { get; init; }

    /// <summary>
    /// The position to recover to so that this transaction is not replayed and all that was committed before it is. It is exclusive: give
    /// it to Invoke-SmcPointInTimeRecovery with -Exclusive.
    /// </summary>
    public required string RecoveryLsn { get; init; }

    /// <summary>Where its first record was seen; null where nothing of it but its commit was.</summary>
    public required string? FirstLsn { get; init; }

    /// <summary>Where its commit record begins.</summary>
    public required string CommitLsn { get; init; }

    /// <summary>Where its commit record ends.</summary>
    public required string EndLsn { get; init; }

    /// <summary>The timeline.</summary>
    public required int Timeline { get; init; }

    /// <summary>The id of the database; 0 where the write-ahead log does not tell it.</summary>
    public required long DatabaseOid { get; init; }

    /// <summary>The name of the database, where a server tells it.</summary>
    public string? Database { get; init; }

    /// <summary>How many rows it deleted, in tables that users made.</summary>
    public required long DeletedRows { get; init; }

    /// <summary>How many rows it updated, in tables that users made.</summary>
    public required long UpdatedRows { get; init; }

    /// <summary>How many rows it inserted, in tables that users made.</summary>
    public required long InsertedRows { get; init; }

    /// <summary>What it did to which relation, the heaviest first.</summary>
    public required IReadOnlyList<TransactionRelation> Relations { get; init => field = ResultList.Of(value); }

    /// <summary>
    /// Whether the transaction was prepared first. After a recovery to before its commit it is still prepared, and holds its locks: end it by
    /// ROLLBACK PREPARED.
    /// </summary>
    public bool IsPrepared { get; init; }

    /// <summary>Whether it may have begun before the write-ahead log that was read: the numbers of rows are then the least that they can be.</summary>
    public bool IsPartlySeen { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public required string SystemId { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }

    /// <summary>The relations in one line: what they are called, or the numbers of their files.</summary>
    public string RelationNames { get; init; } = "";
}
