using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>How a logical backup is taken.</summary>
public sealed record LogicalBackupOptions
{
    /// <summary>The databases; empty = all that are no templates and take connections.</summary>
    public IReadOnlyList<string> Databases { get; init; } = [];

    /// <summary>
    /// Whether as much as possible is saved at once, whatever state the server is in: what cannot be read is left out and named, and the
    /// backup is kept until somebody removes it.
    /// </summary>
    public bool Emergency { get; init; }

    /// <summary>Whether the server counts the rows of each table in the same snapshot, to be compared with what was dumped.</summary>
    public bool ExactRowCount { get; init; }

    /// <summary>Whether the roles' passwords, as the server stores them, are in the backup where the user may read them.</summary>
    public bool RolePasswords { get; init; } = true;

    /// <summary>A label for people.</summary>
    public string? Label { get; init; }

    /// <summary>The site's name.</summary>
    public string? Site { get; init; }

    /// <summary>Where pg_dump is; null = it is looked for.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>How many databases are dumped at a time; null for a number that fits this machine.</summary>
    public int? Parallelism { get; init; }

    /// <summary>Whether a database cluster that the repository does not know yet is accepted beside those that it knows.</summary>
    public bool NewCluster { get; init; }

    /// <summary>How long pg_dump waits for tables that somebody has locked; null = five minutes, half a minute in an emergency.</summary>
    public TimeSpan? LockTimeout { get; init; }

    /// <summary>A pack is closed once it is so long.</summary>
    public long PackSize { get; init; } = 64 << 20;

    /// <summary>How compression is done; null for the best that this machine has.</summary>
    public BlockCodec? Codec { get; init; }
}
