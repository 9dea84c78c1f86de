using Spectre.Console;

namespace SmcDr.Cli.Output;

/// <summary>Lists: a drawn table on a terminal, aligned plain text elsewhere.</summary>
internal static class TableOutput
{
    public static void Write<T>(TextWriter writer, IReadOnlyList<T> rows, IReadOnlyList<Column<T>> columns, bool isRich)
    {
        string[][] cells = [.. rows.Select(row => columns.Select(column => ErrorText.OneLine(column.Text(row) ?? "")).ToArray())];
        if (isRich)
        {
            WriteRich(writer, cells, columns);
        }
        else
        {
            WritePlain(writer, cells, columns);
        }
    }

    /// <summary>Name and value, one pair a line; pairs without a value are left out.</summary>
    public static void WriteProperties(TextWriter writer, params (string Name, string? Value)[] properties)
    {
        int width = properties.Max(static property => property.Name.Length) + 2;
        foreach ((string name, string? value) in properties.Where(static property => !string.IsNullOrEmpty(property.Value)))
        {
            writer.WriteLine(name.PadRight(width) + ErrorText.OneLine(value!));
        }
    }

    private static void WriteRich<T>(TextWriter writer, string[][] cells, IReadOnlyList<Column<T>> columns)
    {
        Table table = new() { Border = TableBorder.Rounded };
        foreach (Column<T> column in columns)
        {
            TableColumn head = new(new Text(column.Header, new Style(decoration: Decoration.Bold)));
            table.AddColumn(column.IsNumber ? head.RightAligned() : head);
        }

        foreach (string[] row in cells)
        {
            table.AddRow(row.Select(static cell => new Text(cell)));
        }

        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) }).Write(table);
    }

    private static void WritePlain<T>(TextWriter writer, string[][] cells, IReadOnlyList<Column<T>> columns)
    {
        int[] widths = [.. columns.Select((column, i) => cells.Select(row => row[i].Length).Append(column.Header.Length).Max())];
        WriteLine([.. columns.Select(static column => column.Header)]);
        foreach (string[] row in cells)
        {
            WriteLine(row);
        }

        void WriteLine(string[] row) => writer.WriteLine(string.Join("  ", row.Select((cell, i) =>
            columns[i].IsNumber ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]))).TrimEnd());
    }
}
