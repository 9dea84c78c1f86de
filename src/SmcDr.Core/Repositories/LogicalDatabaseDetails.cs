namespace SmcDr.Core.Repositories;

/// <summary>A database in a logical backup, with what a dump does not say of it, or not under another name.</summary>
public sealed record LogicalDatabaseDetails
{
    public required string Name { get; init; }

    /// <summary>The path of the dump in the backup.</summary>
    public required string Path { get; init; }

    /// <summary>The path of the list of tables in the backup; null where the server could not be asked for it.</summary>
    public string? TablesPath { get; init; }

    /// <summary>What the database took on the server, indexes and dead rows included.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>The server's clock when the snapshot was taken that all of the dump shows; null where pg_dump took its own.</summary>
    public DateTimeOffset? SnapshotTime { get; init; }

    /// <summary>The end of the WAL at that moment.</summary>
    public Lsn? SnapshotLsn { get; init; }

    public required int TableCount { get; init; }

    /// <summary>How many rows the dump holds, counted.</summary>
    public required long RowCount { get; init; }

    public required long LargeObjectCount { get; init; }

    /// <summary>Tables of an emergency backup whose rows could not be read; their definitions are there.</summary>
    public IReadOnlyList<string> ExcludedTables { get; init; } = [];

    public required string Owner { get; init; }

    public required string Encoding { get; init; }

    public required string Collate { get; init; }

    public required string CharacterType { get; init; }

    /// <summary><c>libc</c>, <c>icu</c> or <c>builtin</c>.</summary>
    public required string LocaleProvider { get; init; }

    public string? Locale { get; init; }

    public string? IcuRules { get; init; }

    public string? CollationVersion { get; init; }

    public string? Tablespace { get; init; }

    public int ConnectionLimit { get; init; } = -1;

    public string? Comment { get; init; }

    /// <summary>What <c>ALTER DATABASE … SET</c> and <c>ALTER ROLE … IN DATABASE … SET</c> have set.</summary>
    public IReadOnlyList<LogicalDatabaseSetting> Settings { get; init; } = [];

    /// <summary>Privileges on the database; null where they were never changed.</summary>
    public IReadOnlyList<LogicalDatabaseGrant>? Grants { get; init; }
}
