using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery;

/// <summary>The folder from which a recovering server is served WAL: on this host, or on a volume through a pod. Safe for concurrent use.</summary>
internal interface IStagingFolder
{
    /// <summary>The names of the files in it, hidden ones too.</summary>
    Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Puts a small file there that the server may read, whole or not at all, and durable.</summary>
    Task WriteAsync(string name, string content, CancellationToken cancellationToken);

    /// <summary>Removes a file, if it is there.</summary>
    Task DeleteAsync(string name, CancellationToken cancellationToken);

    /// <summary>Brings a segment. It gets its name when it is whole, durable, and the server may read it: the script looks at the name alone.</summary>
    Task FetchAsync(WalArchive archive, WalItem item, CancellationToken cancellationToken);

    /// <summary>Leaves a sign of life under <see cref="RecoveryScripts.HeartbeatName"/>. Not durable: it is for processes of this moment.</summary>
    Task BeatAsync(long beat, CancellationToken cancellationToken);

    /// <summary>Makes the names in it durable.</summary>
    Task SyncAsync(CancellationToken cancellationToken);
}
