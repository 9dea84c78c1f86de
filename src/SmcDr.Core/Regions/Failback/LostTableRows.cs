namespace SmcDr.Core.Regions.Failback;

/// <summary>What was exported of a table: a line of the list of tables, for whoever enters its rows again.</summary>
internal sealed record LostTableRows
{
    /// <summary>The database's name; null where the former primary has none of this id any more.</summary>
    public string? Database { get; init; }

    public required uint DatabaseOid { get; init; }

    /// <summary>The table with its schema; null where it was dropped since, and nothing tells what it was called.</summary>
    public string? Table { get; init; }

    public uint? TableOid { get; init; }

    /// <summary>The file with its rows, below the directory of the list; null where there are none.</summary>
    public string? File { get; init; }

    /// <summary>How many rows it holds: as the last of the lost transactions left them, inserted or updated by one of them.</summary>
    public long ExportedRows { get; init; }

    /// <summary>How many rows the lost transactions inserted.</summary>
    public required long InsertedRows { get; init; }

    /// <summary>How often they updated one.</summary>
    public required long UpdatedRows { get; init; }

    /// <summary>How many they deleted, which are in no file.</summary>
    public required long DeletedRows { get; init; }

    /// <summary>Why rows are missing; null where none are.</summary>
    public string? Problem { get; init; }
}
