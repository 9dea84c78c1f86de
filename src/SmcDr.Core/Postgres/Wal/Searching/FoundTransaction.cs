namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>A committed transaction that did something worth telling.</summary>
internal sealed record FoundTransaction(
    uint Xid,
    IReadOnlyList<uint> Subtransactions,
    DateTimeOffset Time,
    uint Database,
    Lsn? FirstLsn,
    Lsn CommitLsn,
    Lsn EndLsn,
    bool IsPrepared,
    bool IsPartlySeen,
    IReadOnlyList<uint> DroppedDatabases,
    IReadOnlyList<FoundRelation> Relations);
