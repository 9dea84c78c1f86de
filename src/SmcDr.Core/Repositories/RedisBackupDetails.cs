namespace SmcDr.Core.Repositories;

/// <summary>What is true of a Redis backup as a whole.</summary>
public sealed record RedisBackupDetails
{
    /// <summary>The path of the RDB in the backup.</summary>
    public required string Path { get; init; }

    public required string ServerVersion { get; init; }

    /// <summary><c>standalone</c> or <c>cluster</c>. Of a cluster the backup holds the slots of one node.</summary>
    public required string Mode { get; init; }

    /// <summary><c>master</c> or <c>replica</c>: what the server was that gave the data.</summary>
    public required string Role { get; init; }

    /// <summary>Host and port of the server that gave the data.</summary>
    public required string Source { get; init; }

    /// <summary>The id that the server gave itself when it started.</summary>
    public string? RunId { get; init; }

    /// <summary>The id of the history of changes that the data is part of: that of a master and of all its replicas.</summary>
    public string? ReplicationId { get; init; }

    /// <summary>Up to where in that history the data goes. Of a file that the server wrote: it goes at least so far.</summary>
    public long? ReplicationOffset { get; init; }

    /// <summary>On a replica: how much of its master's changes it had not seen, in bytes of their stream; null where the master was not asked.</summary>
    public long? ReplicaLagBytes { get; init; }

    /// <summary><c>Replication</c> or <c>BgSave</c>.</summary>
    public required string Method { get; init; }

    /// <summary>The version of the RDB's format. A server reads those that are no newer than its own.</summary>
    public required int RdbVersion { get; init; }

    /// <summary>Whether the RDB carries a checksum, which was found right.</summary>
    public required bool HasChecksum { get; init; }

    /// <summary>When the RDB began to come, by this machine's clock.</summary>
    public required DateTimeOffset TransferStartTime { get; init; }

    /// <summary>When all of it was here.</summary>
    public required DateTimeOffset TransferStopTime { get; init; }

    /// <summary>How many keys the server counted when the backup began.</summary>
    public IReadOnlyList<RedisDatabaseSize> Databases { get; init; } = [];

    /// <summary>What the RDB holds; null where it was not examined.</summary>
    public RedisContent? Content { get; init; }

    /// <summary>Why the RDB was not examined, although its checksum is right: a format that this version of SmcDr does not know.</summary>
    public string? NotExamined { get; init; }

    /// <summary>What a restored server should be set to alike: persistence, memory and eviction. Null where the user may not read settings.</summary>
    public IReadOnlyDictionary<string, string>? Settings { get; init; }

    /// <summary>
    /// The newest backup of the database that there was. The two are not consistent with each other: nothing holds Redis and PostgreSQL at one instant.
    /// </summary>
    public RedisSkew? DatabaseSkew { get; init; }
}
