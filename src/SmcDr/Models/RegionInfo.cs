namespace SmcDr;

/// <summary>A region as it is now: what it does, how far it is behind, and whether it could take over.</summary>
public sealed record RegionInfo
{
    /// <summary>The region's name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// What it is by what is recorded in the repository, and where no region was ever led to another, or the repository cannot be read, by the site file:
    /// <c>Primary</c> or <c>Standby</c>. Commands go by it.
    /// </summary>
    public required string Role { get; init; }

    /// <summary>What the site file says that it is: <c>Primary</c> or <c>Standby</c>. After a failover it differs until somebody corrects the file.</summary>
    public required string FileRole { get; init; }

    /// <summary>
    /// What its database is: <c>Primary</c>, <c>Standby</c>, <c>Unreachable</c>, or <c>None</c> where the region has no database.
    /// </summary>
    public required string ActualRole { get; init; }

    /// <summary>
    /// Whether the repository takes its WAL: <c>Leads</c>, <c>Fenced</c>, <c>Open</c> where no region was ever led to another, or <c>Unknown</c> where the
    /// repository cannot be read.
    /// </summary>
    public required string Fencing { get; init; }

    /// <summary>The number of the site's epoch; null where there is none yet.</summary>
    public long? Epoch { get; init; }

    /// <summary>The database's host and port.</summary>
    public string? DatabaseServer { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public string? SystemId { get; init; }

    /// <summary>The timeline that it writes, or replays.</summary>
    public int? Timeline { get; init; }

    /// <summary>Up to where its WAL is durable; of a standby, up to where it has replayed.</summary>
    public string? Lsn { get; init; }

    /// <summary>Of a standby, up to where it has received WAL from its primary.</summary>
    public string? ReceivedLsn { get; init; }

    /// <summary>Of a standby, where its WAL comes from: <c>Streaming</c>, or <c>Archive</c> where it has no connection to its primary.</summary>
    public string? Replication { get; init; }

    /// <summary>Of a standby, how much WAL it has not replayed yet, in bytes; null where that cannot be told.</summary>
    public long? LagBytes { get; init; }

    /// <summary>Of a standby, how old the newest transaction is that it has replayed, in seconds; zero where it has all, null where that cannot be
    /// told.</summary>
    public double? LagSeconds { get; init; }

    /// <summary>The replication slot that the primary keeps WAL by for this region; null where it has none.</summary>
    public string? Slot { get; init; }

    /// <summary>What the primary says of the slot: <c>reserved</c>, <c>extended</c>, <c>unreserved</c> or <c>lost</c>.</summary>
    public string? SlotState { get; init; }

    /// <summary>
    /// What a failover to this region would lose now, in bytes of WAL: what neither it nor the repository has. Null where nobody can tell, since the
    /// primary does not answer.
    /// </summary>
    public long? LossBytes { get; init; }

    /// <summary>Redis's host and port.</summary>
    public string? RedisServer { get; init; }

    /// <summary>What Redis is: <c>Master</c>, <c>Replica</c>, <c>Unreachable</c>, or null where the region has none.</summary>
    public string? RedisRole { get; init; }

    /// <summary>Of a replica, whether it hears its master and has all of its data.</summary>
    public bool? RedisLinkUp { get; init; }

    /// <summary>Whether the API server of its Kubernetes cluster answers; null where the region has none.</summary>
    public bool? ClusterReachable { get; init; }

    /// <summary>Whether the site's DNS record leads to this region; null where the site has none, or it cannot be read.</summary>
    public bool? DnsLeadsHere { get; init; }

    /// <summary>Whether it could take over now; null for the region that leads.</summary>
    public bool? CanTakeOver { get; init; }

    /// <summary>What stands in the way of taking over, each a sentence.</summary>
    public IReadOnlyList<string> Obstacles { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>What else is not as it should be, or could not be found out, each a sentence.</summary>
    public IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>When this was true, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }
}
