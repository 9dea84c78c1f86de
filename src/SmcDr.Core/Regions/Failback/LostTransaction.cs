namespace SmcDr.Core.Regions.Failback;

/// <summary>A transaction that a former primary committed and the region that leads never saw: a line of the list for whoever enters it again.</summary>
internal sealed record LostTransaction
{
    public required DateTimeOffset CommitTime { get; init; }

    public required Lsn CommitLsn { get; init; }

    public required Lsn EndLsn { get; init; }

    public required uint Xid { get; init; }

    public required uint DatabaseOid { get; init; }

    /// <summary>The database's name; null where the server that leads has no such database.</summary>
    public string? Database { get; init; }

    /// <summary>Whether it was prepared first.</summary>
    public bool IsPrepared { get; init; }

    /// <summary>Whether it began before what could be read, so that it may have touched more than is told.</summary>
    public bool IsPartlySeen { get; init; }

    public required IReadOnlyList<TransactionRelation> Relations { get; init; }
}
