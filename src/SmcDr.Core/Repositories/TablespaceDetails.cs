namespace SmcDr.Core.Repositories;

/// <summary>A tablespace outside the data directory.</summary>
/// <param name="Oid">Its object id, which is the link's name in <c>pg_tblspc</c>.</param>
/// <param name="Name">Its name.</param>
/// <param name="Location">Where it lay on the server.</param>
public sealed record TablespaceDetails(uint Oid, string Name, string Location);
