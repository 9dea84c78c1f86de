namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>Whose WAL a spill holds.</summary>
internal sealed record SpillIdentity
{
    /// <summary>The repository that it belongs to.</summary>
    public required Guid RepositoryId { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public required string SystemId { get; init; }

    /// <summary>The site's fencing epoch in which it was received; 0 where there was none.</summary>
    public long Epoch { get; init; }

    /// <summary>Where the repository was, for people.</summary>
    public required string Location { get; init; }
}
