namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A tablespace as the server knows it.</summary>
/// <param name="Oid">Its object id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Location">Where it is; <c>pg_tblspc/OID</c> for one that lies in place (<c>allow_in_place_tablespaces</c>).</param>
/// <param name="PathInside">Its path below the data directory, where somebody has put it there against all advice; else null.</param>
internal sealed record TablespaceLocation(uint Oid, string Name, string Location, string? PathInside)
{
    /// <summary>Whether it is an ordinary directory of the data directory, and neither linked nor mapped.</summary>
    public bool IsInPlace => Location.StartsWith(BackupFileRules.Tablespaces + "/", StringComparison.Ordinal);
}
