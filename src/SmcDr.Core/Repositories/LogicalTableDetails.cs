namespace SmcDr.Core.Repositories;

/// <summary>A table of a logical backup. Each line of a database's list of tables is one, as JSON.</summary>
public sealed record LogicalTableDetails
{
    public required string Schema { get; init; }

    public required string Name { get; init; }

    /// <summary>The rows in the dump, counted; null where they could not be.</summary>
    public long? Rows { get; init; }

    /// <summary>The rows that the server counted in the same snapshot, where it was asked to.</summary>
    public long? ServerRows { get; init; }

    /// <summary>What the server's statistics say of it (<c>pg_stat_user_tables</c>): live rows, estimated.</summary>
    public long? EstimatedRows { get; init; }

    /// <summary>Rows inserted since the statistics were last reset.</summary>
    public long? Inserted { get; init; }

    public long? Updated { get; init; }

    public long? Deleted { get; init; }

    /// <summary>What the table takes, without indexes.</summary>
    public long? SizeBytes { get; init; }
}
