using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis;

/// <summary>How a Redis server is backed up.</summary>
public sealed record RedisBackupOptions
{
    /// <summary>How the data is had.</summary>
    public RedisBackupMethod Method { get; init; } = RedisBackupMethod.Replication;

    /// <summary>Whether a replica is asked where the server has one that is in step, so that the master is spared.</summary>
    public bool PreferReplica { get; init; }

    /// <summary>How long ago a replica may have confirmed changes for the last time to count as in step.</summary>
    public TimeSpan MaximumReplicaLag { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For <see cref="RedisBackupMethod.BgSave"/>: the file as it is seen here; null = where the server says that it is.</summary>
    public string? RdbPath { get; init; }

    /// <summary>For <see cref="RedisBackupMethod.BgSave"/>: how long the server may take to write its file, what it does before included.</summary>
    public TimeSpan SaveTimeout { get; init; } = TimeSpan.FromHours(2);

    /// <summary>How long a server that is loading its data is waited for.</summary>
    public TimeSpan LoadingTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A label for people.</summary>
    public string? Label { get; init; }

    /// <summary>The site's name.</summary>
    public string? Site { get; init; }

    /// <summary>A pack is closed once it is so long.</summary>
    public long PackSize { get; init; } = 64 << 20;

    /// <summary>How compression is done; null for the best that this machine has.</summary>
    public BlockCodec? Codec { get; init; }

    /// <summary>Makes what looks into the RDB while it passes; null for what reads and describes it.</summary>
    internal Func<IRdbObserver>? Inspect { get; init; }
}
