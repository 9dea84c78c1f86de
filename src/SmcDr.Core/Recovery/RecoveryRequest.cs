using SmcDr.Core.Postgres;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>A recovery of a database cluster on this host, as it is asked for.</summary>
public sealed record RecoveryRequest
{
    /// <summary>Where the backups and the WAL are.</summary>
    public required Repository Repository { get; init; }

    /// <summary>The base backup to begin with; null = the newest that is old enough for the target.</summary>
    public string? BackupId { get; init; }

    /// <summary>The cluster, where the repository holds several; null = that of the backup, or of the newest one.</summary>
    public ulong? SystemId { get; init; }

    /// <summary>The site whose cluster it is: where the repository holds several clusters and none is named, its own backups are chosen from; null = all.</summary>
    public string? Site { get; init; }

    /// <summary>Up to where to replay.</summary>
    public RecoveryTarget Target { get; init; } = RecoveryTarget.Latest;

    /// <summary>The directory to restore to.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>
    /// Where tablespaces go, by their name, their object id or the location that they had. One that is not listed goes where it was.
    /// </summary>
    public IReadOnlyDictionary<string, string> Tablespaces { get; init; } = new Dictionary<string, string>();

    /// <summary>The directory of PostgreSQL's programs; null = look for those of the backup's major version.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>The account that the server runs as, where we are root; null = the owner of the present directory, else <c>postgres</c>.</summary>
    public string? OsUser { get; init; }

    /// <summary>The superuser by whose name the recovered cluster is checked.</summary>
    public string Superuser { get; init; } = "postgres";

    /// <summary>Settings, such as <c>port</c>, that win over the cluster's own when it is started at the end.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether what is in the way is moved aside, and an earlier interrupted recovery to another target abandoned. Nothing is deleted.</summary>
    public bool Force { get; init; }

    /// <summary>
    /// Whether the data directory, which may be in use by a stopped server, is made like the base backup in place: what is right in it is
    /// kept, all else is overwritten or removed, and no copy of it stays. Otherwise what is there is moved aside. With <see cref="Force"/>
    /// also a data directory of another cluster.
    /// </summary>
    public bool Delta { get; init; }

    /// <summary>
    /// Set where the cluster becomes a side instance: isolated from all of production, for good, and with its tablespaces beside its data
    /// directory unless <see cref="Tablespaces"/> says otherwise.
    /// </summary>
    public ServerIsolation? Isolation { get; init; }

    /// <summary>
    /// Set where the cluster becomes a standby: the settings by which it follows its primary. It is not replayed here, and not promoted.
    /// </summary>
    internal IReadOnlyList<KeyValuePair<string, string>>? Standby { get; init; }

    /// <summary>Who is stopped before and started again when the server runs; null = nobody.</summary>
    public IDatabaseWriters? Writers { get; init; }

    /// <summary>Whether the server runs at the end, with the cluster's own settings.</summary>
    public bool KeepRunning { get; init; } = true;

    /// <summary>How many requests to the repository run at a time; null = a number that fits this machine.</summary>
    public int? Parallelism { get; init; }

    /// <summary>How long replay may take; null = as long as it goes on.</summary>
    public TimeSpan? ReplayTimeLimit { get; init; }
}
