using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>One database of a restore's plan.</summary>
public sealed record LogicalRestoreItem
{
    /// <summary>The database in the backup.</summary>
    public required LogicalDatabaseDetails Source { get; init; }

    /// <summary>The database to restore to.</summary>
    public required string Target { get; init; }

    public required LogicalRestoreMode Mode { get; init; }

    internal ManifestEntry Dump { get; init; } = null!;

    /// <summary>The entries to restore; null = all.</summary>
    internal IReadOnlyList<ArchiveEntry>? Selection { get; init; }

    /// <summary>The tables to compare afterwards; null where the backup has no list of them.</summary>
    internal IReadOnlyList<LogicalTableDetails>? Tables { get; init; }

    /// <summary>Whether tablespaces are left out, because the server does not have them.</summary>
    internal bool NoTablespaces { get; init; }
}
