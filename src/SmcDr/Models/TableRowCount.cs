using System.Globalization;

namespace SmcDr;

/// <summary>How many rows a table has.</summary>
/// <param name="Database">The database.</param>
/// <param name="Schema">The schema.</param>
/// <param name="Table">The table or materialized view.</param>
/// <param name="RowCount">Its rows, counted.</param>
public sealed record TableRowCount(string Database, string Schema, string Table, long RowCount)
{
    /// <summary>The table and its rows.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Database}: {Schema}.{Table} {RowCount}");
}
