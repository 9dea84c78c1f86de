using SmcDr.Core.Leases;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>How a base backup is taken.</summary>
public sealed record BaseBackupOptions
{
    /// <summary>A label for people. It also stands in <c>backup_label</c>.</summary>
    public string? Label { get; init; }

    /// <summary>The site's name.</summary>
    public string? Site { get; init; }

    /// <summary>
    /// The site and the region that is backed up: refused where another region leads the site, since what happens here is not of its history.
    /// Null where nothing is known of regions.
    /// </summary>
    public FencingScope? Fencing { get; init; }

    /// <summary>How many connections read files; null for a number that fits this machine.</summary>
    public int? Parallelism { get; init; }

    /// <summary>
    /// The replication slot of the WAL stream. While that stream runs, the backup relies on it for its WAL; otherwise it receives
    /// the WAL itself.
    /// </summary>
    public string? Slot { get; init; }

    /// <summary>
    /// The primary, where the backup is taken from a standby: it tells whether the WAL stream runs. Where null, or out of reach, the standby is
    /// asked, and without a stream it also gives the WAL: what it has replayed, it can send.
    /// </summary>
    public PostgresConnector? Primary { get; init; }

    /// <summary>Whether a database cluster that the repository does not know yet is accepted beside those that it knows: after pg_upgrade, say.</summary>
    public bool NewCluster { get; init; }

    /// <summary>Whether everything is read and stored, although there is a backup to build on.</summary>
    public bool Full { get; init; }

    /// <summary>
    /// How long after the last full backup the next is one again: so that an old pack is not kept for a few blocks, nor trusted, for ever.
    /// </summary>
    public TimeSpan FullInterval { get; init; } = TimeSpan.FromDays(7);

    /// <summary>
    /// Whether files are read where they lie if the server runs on this host and its data directory can be read here. If not, everything comes
    /// through connections.
    /// </summary>
    public bool ReadLocally { get; init; } = true;

    /// <summary>
    /// Whether the checkpoint with which a backup begins is made at once. If not, the server takes its time for it
    /// (<c>checkpoint_completion_target</c>) and is disturbed less.
    /// </summary>
    public bool FastCheckpoint { get; init; } = true;

    /// <summary>How long to wait, after the last file, for the WAL that makes the backup usable.</summary>
    public TimeSpan WalTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A pack is closed once it is so long.</summary>
    public long PackSize { get; init; } = 64 << 20;

    /// <summary>How compression is done; null for the best that this machine has.</summary>
    public BlockCodec? Codec { get; init; }
}
