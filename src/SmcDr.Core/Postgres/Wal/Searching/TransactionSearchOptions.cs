namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>Which transactions are looked for.</summary>
public sealed record TransactionSearchOptions
{
    /// <summary>The rows that make a DELETE or an UPDATE worth telling, unless somebody says otherwise.</summary>
    public const long DefaultMinimumRows = 1000;

    /// <summary>Committed at this instant or later.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Committed at this instant or earlier.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>Committed at this position or behind it.</summary>
    public Lsn? FromLsn { get; init; }

    /// <summary>Committed before this position.</summary>
    public Lsn? ToLsn { get; init; }

    /// <summary>The timeline; its ancestors belong to it. Null = the newest.</summary>
    public uint? Timeline { get; init; }

    /// <summary>What was done, any of these.</summary>
    public TransactionKinds Kinds { get; init; } = TransactionKinds.All;

    /// <summary>The database, by its id or, where a server tells names, by its name.</summary>
    public string? Database { get; init; }

    /// <summary>
    /// A relation, by the number of its file, its id, its name, or its schema and name. A drop or truncation of relations whose names nothing
    /// tells is found as well: it may be the one.
    /// </summary>
    public string? Relation { get; init; }

    /// <summary>How many rows of one table a transaction must have deleted or updated where it did nothing else.</summary>
    public long MinimumRows { get; init; } = DefaultMinimumRows;

    /// <summary>
    /// How long before <see cref="From"/> the reading begins: long transactions are then counted whole, and names of dropped tables are found
    /// in what was written since the last checkpoint.
    /// </summary>
    public TimeSpan Lookback { get; init; } = TimeSpan.FromMinutes(15);
}
