using System.Globalization;

namespace SmcDr;

/// <summary>What a transaction did to a table, index or other relation.</summary>
public sealed record TransactionRelation
{
    /// <summary>The name, with its schema where that is known; null where nothing tells it.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// <c>Table</c>, <c>Index</c>, <c>Toast</c>, <c>Sequence</c>, <c>MaterializedView</c>; null where nothing tells it.
    /// </summary>
    public string? Type { get; init; }

    /// <summary>
    /// <c>Dropped</c>, <c>Truncated</c>, <c>Rewritten</c>, or <c>Changed</c> where only rows were; <c>Replaced</c> where its file was
    /// exchanged and the write-ahead log does not tell which of several was emptied.
    /// </summary>
    public required string Change { get; init; }

    /// <summary>The relation's id; null where the write-ahead log does not tell it.</summary>
    public long? Oid { get; init; }

    /// <summary>The id of the database; 0 for what all databases share.</summary>
    public required long DatabaseOid { get; init; }

    /// <summary>The id of the tablespace; 0 where only the relation's own id is known.</summary>
    public required long TablespaceOid { get; init; }

    /// <summary>The number of the relation's file before the transaction; 0 where only the relation's own id is known.</summary>
    public required long FileNode { get; init; }

    /// <summary>How many rows were deleted.</summary>
    public long DeletedRows { get; init; }

    /// <summary>How many rows were updated.</summary>
    public long UpdatedRows { get; init; }

    /// <summary>How many rows were inserted.</summary>
    public long InsertedRows { get; init; }

    /// <summary>The relation and what became of it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name ?? $"file {FileNode}"}: {Change}");
}
