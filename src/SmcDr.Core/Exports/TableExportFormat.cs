namespace SmcDr.Core.Exports;

/// <summary>How the rows of a table are written.</summary>
public enum TableExportFormat
{
    /// <summary>COPY's CSV with a line of column names.</summary>
    Csv,

    /// <summary>COPY's text.</summary>
    Text,

    /// <summary>COPY's binary format.</summary>
    Binary,

    /// <summary>pg_dump's custom format, with the table's definition, for pg_restore.</summary>
    Dump,
}
