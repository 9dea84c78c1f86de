namespace SmcDr.Core.Postgres.Logical;

/// <summary>What is restored from a logical backup, and how.</summary>
public sealed record LogicalRestoreOptions
{
    /// <summary>The databases; empty = all in the backup.</summary>
    public IReadOnlyList<string> Databases { get; init; } = [];

    /// <summary>The database to restore to; null = the one of the same name. Only for one database.</summary>
    public string? TargetDatabase { get; init; }

    /// <summary>Whether what is there is dropped: the whole database once the new one is complete; of a choice of tables those alone.</summary>
    public bool Clean { get; init; }

    /// <summary>Only these tables, views or sequences, as <c>name</c> or <c>schema.name</c>, with all that belongs to them.</summary>
    public IReadOnlyList<string> Tables { get; init; } = [];

    /// <summary>Only what is in these schemas.</summary>
    public IReadOnlyList<string> Schemas { get; init; } = [];

    /// <summary>How many tables and indexes are restored at a time. More than one needs room for the dump in the temporary directory.</summary>
    public int Parallelism { get; init; } = 1;

    /// <summary>Whether everything belongs to the user that restores, without the privileges of others.</summary>
    public bool NoOwner { get; init; }

    /// <summary>Whether roles and tablespaces are restored first.</summary>
    public bool Globals { get; init; }

    /// <summary>Where pg_restore is; null = it is looked for.</summary>
    public string? BinDirectory { get; init; }
}
