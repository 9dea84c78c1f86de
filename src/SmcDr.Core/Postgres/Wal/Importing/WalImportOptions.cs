using SmcDr.Core.Leases;

namespace SmcDr.Core.Postgres.Wal.Importing;

/// <summary>What is imported, and how.</summary>
public sealed record WalImportOptions
{
    /// <summary>The directory that an <c>archive_command</c> wrote to.</summary>
    public required string Path { get; init; }

    /// <summary>Whether directories below it belong to it as well.</summary>
    public bool Recurse { get; init; }

    /// <summary>The database cluster; null = the one that the repository knows, or where it knows none that of the first segment.</summary>
    public ulong? SystemId { get; init; }

    /// <summary>The site and the region that the WAL is of: refused where another region leads the site. Null where nothing is known of regions.</summary>
    public FencingScope? Fencing { get; init; }

    /// <summary>How many segments are read, and as many again stored, at the same time, as far as memory allows.</summary>
    public int Parallelism { get; init; } = 4;
}
