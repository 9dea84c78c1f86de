namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>A row of pg_class as it stood in the WAL.</summary>
/// <param name="Oid">The relation's id, which a rewrite does not change.</param>
/// <param name="Name">Its name.</param>
/// <param name="Namespace">Its schema.</param>
/// <param name="File">The number of its file.</param>
/// <param name="Kind">Its kind, as pg_class.relkind; zero where it was not read.</param>
/// <param name="Xmin">The transaction that wrote the row.</param>
/// <param name="IsCurrent">Whether nothing had replaced or deleted it yet.</param>
internal sealed record CatalogRow(uint Oid, string Name, uint Namespace, uint File, char Kind, uint Xmin, bool IsCurrent);
