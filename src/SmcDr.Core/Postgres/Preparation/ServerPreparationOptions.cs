namespace SmcDr.Core.Postgres.Preparation;

/// <summary>What a server is prepared for.</summary>
public sealed record ServerPreparationOptions
{
    /// <summary>The physical replication slot of the WAL stream.</summary>
    public required string Slot { get; init; }

    /// <summary>What backups connect as: its user becomes the role, its database is where functions are granted.</summary>
    public required PostgresConnector Backup { get; init; }

    /// <summary>Gives the role's password; null where its authentication needs none, or where an existing role keeps its own.</summary>
    public Func<CancellationToken, ValueTask<string?>>? Password { get; init; }

    /// <summary>Whether nothing will be approved: then it is also asked about what could only be done after something else.</summary>
    public bool IsPreview { get; init; }

    /// <summary>How long the server may take to read its configuration.</summary>
    public TimeSpan ReloadTimeout { get; init; } = TimeSpan.FromSeconds(15);
}
