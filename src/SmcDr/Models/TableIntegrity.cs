namespace SmcDr;

/// <summary>A table of the integrity report behind a restore: what the backup holds, and what is there now.</summary>
public sealed record TableIntegrity
{
    /// <summary>The table's schema.</summary>
    public required string Schema { get; init; }

    /// <summary>The table.</summary>
    public required string Table { get; init; }

    /// <summary>The rows in the backup, counted; null where its rows could not be read.</summary>
    public long? ExpectedRows { get; init; }

    /// <summary>The rows that are there now, counted; null where the table is missing.</summary>
    public long? Rows { get; init; }

    /// <summary>Rows that were inserted since the server's statistics began (<c>pg_stat_user_tables</c>).</summary>
    public long? Inserted { get; init; }

    /// <summary>Rows that were updated since then.</summary>
    public long? Updated { get; init; }

    /// <summary>Rows that were deleted since then.</summary>
    public long? Deleted { get; init; }

    /// <summary><c>Passed</c>; <c>Failed</c> where the numbers differ; <c>Skipped</c> where there is nothing to compare with.</summary>
    public required string Outcome { get; init; }

    /// <summary>The table and its outcome.</summary>
    public override string ToString() => $"{Schema}.{Table}: {Outcome}";
}
