using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>A database as the server lists it.</summary>
internal sealed record DatabaseRow(LogicalDatabaseDetails Details, bool IsTemplate, bool AllowsConnections, bool MayConnect)
{
    public string Name => Details.Name;

    /// <summary>Whether a DROP DATABASE was interrupted, which leaves it to be dropped and nothing else (PostgreSQL 15.4 and later).</summary>
    public bool IsInvalid => Details.ConnectionLimit == -2;
}
