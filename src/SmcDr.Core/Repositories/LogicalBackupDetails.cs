namespace SmcDr.Core.Repositories;

/// <summary>What is true of a logical backup as a whole. What each table held stands in the backup, in a file for each database.</summary>
public sealed record LogicalBackupDetails
{
    /// <summary>PostgreSQL's system identifier, as text because JSON numbers lose digits; null where the server would not tell.</summary>
    public string? SystemId { get; init; }

    /// <summary>As <c>server_version_num</c>: 150008.</summary>
    public required int ServerVersionNumber { get; init; }

    public required string ServerVersion { get; init; }

    /// <summary>The version of pg_dump. An older pg_restore may not read its archives.</summary>
    public required string ProgramVersion { get; init; }

    /// <summary>The path of roles and tablespaces in the backup, as SQL; null where they could not be had.</summary>
    public string? Globals { get; init; }

    /// <summary>Whether the roles' passwords, as the server stores them, are among the globals.</summary>
    public bool RolePasswords { get; init; }

    /// <summary>The databases that were asked for; empty where all were. A backup of some is no substitute for one of all, or of others.</summary>
    public IReadOnlyList<string> Selected { get; init; } = [];

    public required IReadOnlyList<LogicalDatabaseDetails> Databases { get; init; }

    /// <summary>What is missing of an emergency backup: a database, or <c>globals</c>, and the reason.</summary>
    public IReadOnlyList<LogicalFailure> Failures { get; init; } = [];

    /// <summary>Whether something is missing.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public bool IsPartial => Failures.Count > 0 || Databases.Any(static database => database.ExcludedTables.Count > 0);
}
