namespace SmcDr.Core.Recovery;

/// <summary>How a new database cluster is made.</summary>
public sealed record InitializeOptions
{
    /// <summary>The name of the bootstrap superuser.</summary>
    public string Superuser { get; init; } = "postgres";

    /// <summary>The superuser's password; null = none can be used.</summary>
    public string? Password { get; init; }

    /// <summary>How connections authenticate, in <c>pg_hba.conf</c>'s words. <c>trust</c> is for directories that nobody else can reach.</summary>
    public string Authentication { get; init; } = "scram-sha-256";

    /// <summary>Whether pages have checksums.</summary>
    public bool DataChecksums { get; init; } = true;

    /// <summary>The size of a WAL segment in megabytes; null = the server's default, 16.</summary>
    public int? WalSegmentMegabytes { get; init; }

    /// <summary>Whether the new files are synced to disk.</summary>
    public bool Sync { get; init; } = true;
}
