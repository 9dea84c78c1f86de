namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Where a base backup is restored to.</summary>
public sealed record BaseRestoreTarget
{
    /// <summary>The data directory: absent, empty, or left half-restored by an earlier run of the same backup.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>
    /// Whether the directory may be a data directory of the same cluster: what is right in it, by its digests, is kept; the rest is
    /// overwritten or removed, without a copy. Interrupted, it cannot be started, and another run with this set finishes.
    /// </summary>
    public bool Delta { get; init; }

    /// <summary>With <see cref="Delta"/>: overwrites a data directory of another cluster, or of one that cannot be told, as well.</summary>
    public bool Force { get; init; }

    /// <summary>Where tablespaces go, by their object id. One that is not listed goes where it was on the server.</summary>
    public IReadOnlyDictionary<uint, string> Tablespaces { get; init; } = new Dictionary<uint, string>();

    /// <summary>The user that will own everything; null leaves it to the present account. Needs root.</summary>
    public uint? OwnerUser { get; init; }

    /// <summary>The group that will own everything.</summary>
    public uint? OwnerGroup { get; init; }

    /// <summary>How many requests to the repository run at a time; null for a number that fits this machine.</summary>
    public int? Parallelism { get; init; }

    /// <summary>Whether room on the disks is looked at before anything is written. Tests turn it off to meet a full disk on the way.</summary>
    internal bool CheckSpace { get; init; } = true;
}
