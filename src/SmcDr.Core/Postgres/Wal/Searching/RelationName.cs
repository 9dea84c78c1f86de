namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>What a server says of a relation.</summary>
internal sealed record RelationName(uint Oid, string Schema, string Name, char Kind, uint File);
