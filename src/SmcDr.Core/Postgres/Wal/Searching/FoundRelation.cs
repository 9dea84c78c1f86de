namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>A relation of a found transaction.</summary>
/// <param name="File">Its file before the transaction; of number 0 where only its id is known.</param>
/// <param name="Row">Its row of pg_class as the WAL had it.</param>
/// <param name="Oid">Its id, where known.</param>
/// <param name="Kind">What was done to it as a whole; none where only its rows were touched.</param>
/// <param name="Rows">The rows that were touched.</param>
internal sealed record FoundRelation(RelationFile File, CatalogRow? Row, uint? Oid, TransactionKinds Kind, RowCounts Rows);
