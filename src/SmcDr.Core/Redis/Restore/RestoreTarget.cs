namespace SmcDr.Core.Redis.Restore;

/// <summary>Where a restore goes, as it was found before anything was changed.</summary>
internal sealed class RestoreTarget
{
    private readonly RestoreNode[]? _owners;

    /// <summary>A target.</summary>
    /// <param name="nodes">Its servers.</param>
    /// <param name="owners">Of a cluster: which of them has each slot; null for a single server.</param>
    public RestoreTarget(IReadOnlyList<RestoreNode> nodes, RestoreNode[]? owners)
    {
        (Nodes, _owners) = (nodes, owners);
    }

    /// <summary>The servers that take keys.</summary>
    public IReadOnlyList<RestoreNode> Nodes { get; }

    public bool IsCluster => _owners is not null;

    /// <summary>Host and port of the server, or of the cluster's node that was named.</summary>
    public required string Display { get; init; }

    /// <summary>Writes commands for it.</summary>
    public required RestoreCommandWriter Writer { get; init; }

    public required ServerClock Clock { get; init; }

    /// <summary>The version that dumps are given: the backup's, or an older one that the servers take.</summary>
    public required int DumpVersion { get; init; }

    /// <summary>The longest argument that the servers take.</summary>
    public required long MaximumValueLength { get; init; }

    /// <summary>Whether values can be read back and compared.</summary>
    public required bool CanCompare { get; init; }

    /// <summary>The command that tells when a key expires: <c>PEXPIRETIME</c>, or <c>PTTL</c> where there is no such.</summary>
    public required string ExpiryCommand { get; init; }

    /// <summary>What whoever decides should know.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>What must be suspended meanwhile.</summary>
    public string? SuspendFirst { get; init; }

    /// <summary>How many keys all servers have.</summary>
    public long KeyCount => Nodes.Sum(static node => node.KeyCount);

    /// <summary>The server that has a key.</summary>
    public RestoreNode NodeOf(ReadOnlySpan<byte> key) => _owners is null ? Nodes[0] : _owners[HashSlot.Of(key)];

    /// <summary>Notes that a slot has moved. Of one that went to a server that joined since, each key is redirected.</summary>
    public void Move(RedirectedTo where)
    {
        RedisConnector there = where.Connector;
        if (_owners is not null && where.Slot is >= 0 and < HashSlot.Count &&
            Nodes.FirstOrDefault(node => node.Connector.Host == there.Host && node.Connector.Port == there.Port) is { } owner)
        {
            _owners[where.Slot] = owner;
        }
    }
}
