namespace SmcDr;

/// <summary>What a transaction did that somebody may wish to take back.</summary>
[Flags]
public enum TransactionKinds
{
    /// <summary>Nothing of it.</summary>
    None = 0,

    /// <summary>It dropped tables, indexes, materialized views or sequences.</summary>
    Drop = 1,

    /// <summary>It emptied tables by TRUNCATE.</summary>
    Truncate = 2,

    /// <summary>It wrote tables or indexes anew, such as VACUUM FULL, CLUSTER, REINDEX, or ALTER TABLE does: no rows are lost by that alone.</summary>
    Rewrite = 4,

    /// <summary>It deleted rows.</summary>
    Delete = 8,

    /// <summary>It updated rows.</summary>
    Update = 16,

    /// <summary>It dropped a database.</summary>
    DropDatabase = 32,

    /// <summary>All of them.</summary>
    All = Drop | Truncate | Rewrite | Delete | Update | DropDatabase,
}
