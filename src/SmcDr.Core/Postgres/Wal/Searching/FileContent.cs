namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>What was seen written to a file that a transaction made: by it the kind of the relation is told.</summary>
[Flags]
internal enum FileContent
{
    /// <summary>Nothing: an empty table.</summary>
    None = 0,

    /// <summary>Rows, one by one: a table.</summary>
    Rows = 1,

    /// <summary>Whole pages of a table.</summary>
    TablePages = 2,

    /// <summary>Whole pages of an index.</summary>
    IndexPages = 4,

    /// <summary>A sequence's value.</summary>
    Sequence = 8,

    /// <summary>Pages that could not be looked into.</summary>
    Unknown = 16,
}
