namespace SmcDr.Core.Postgres.Logical;

/// <summary>How one database is recovered from a logical backup.</summary>
public sealed record DatabaseRecoveryOptions
{
    /// <summary>The database.</summary>
    public required string Database { get; init; }

    /// <summary>The backup; null = the newest complete logical one that holds the database.</summary>
    public string? BackupId { get; init; }

    /// <summary>Whether the present state is not backed up first. It is kept under another name in any case.</summary>
    public bool SkipEmergencyBackup { get; init; }

    /// <summary>How many tables and indexes are restored at a time.</summary>
    public int Parallelism { get; init; } = 1;

    /// <summary>Whether everything belongs to the user that restores.</summary>
    public bool NoOwner { get; init; }

    /// <summary>Who is stopped meanwhile; null = nobody but the database's own sessions.</summary>
    public IDatabaseWriters? Writers { get; init; }

    /// <summary>The site's name.</summary>
    public string? Site { get; init; }

    /// <summary>Where PostgreSQL's programs are; null = they are looked for.</summary>
    public string? BinDirectory { get; init; }
}
