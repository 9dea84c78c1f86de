using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres;

/// <summary>Keeps a repository from receiving the backups and the WAL of a database cluster that is not its own.</summary>
/// <remarks>
/// A changed address, or an initdb in the place of a restore, is noticed at the first contact instead of at the next recovery. After
/// pg_upgrade the cluster is a new one as well, knowingly: its first backup says so, and the repository then knows both.
/// </remarks>
internal static class ClusterIdentity
{
    /// <summary>The cluster that a backup makes known: none for an emergency backup, which is of whatever server answered.</summary>
    public static ulong? TryGetSystemId(BackupHeader header)
    {
        string? text = header.Database?.SystemId ?? (header.Kind == BackupKinds.Logical ? header.Logical?.SystemId : null);
        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong id) ? id : null;
    }

    /// <summary>Returns where the repository knows the cluster, knows none, or a new one is meant.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SystemIdMismatch"/>.</exception>
    public static async Task CheckAsync(
        Repository repository, ulong systemId, bool isNewCluster, string server, CancellationToken cancellationToken)
    {
        if (isNewCluster)
        {
            return;
        }

        List<ulong> known = [];
        // Every physical backup brings WAL, so this knows most clusters, and by one listing.
        await foreach (ulong id in WalArchive.ListSystemsAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            known.Add(id);
        }

        if (known.Contains(systemId))
        {
            return;
        }

        // A logical backup brings none.
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Header is { } header && TryGetSystemId(header) is { } id && !known.Contains(id))
            {
                known.Add(id);
            }
        }

        if (known.Count > 0 && !known.Contains(systemId))
        {
            string list = string.Join(", ", known.Select(static id => id.ToString(CultureInfo.InvariantCulture)));
            throw new SmcException(
                SmcErrorCode.SystemIdMismatch,
                $"PostgreSQL at {server} is the database cluster {systemId}, and {repository.Location} holds that of {list}.",
                recommendation: "Check the connection. If the cluster is a new one on purpose, after pg_upgrade or initdb, give it a repository " +
                    "of its own, or take its first backup with -NewCluster (or --new-cluster).",
                target: server);
        }
    }
}
