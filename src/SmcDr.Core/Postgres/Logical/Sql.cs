namespace SmcDr.Core.Postgres.Logical;

/// <summary>Names and texts as they stand in SQL where parameters cannot.</summary>
internal static class Sql
{
    private const int MaximumNameBytes = 63;

    public static string Name(string name) => "\"" + name.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";

    /// <summary>A text, whatever <c>standard_conforming_strings</c> says.</summary>
    public static string Text(string text)
    {
        string quoted = text.Replace("'", "''", StringComparison.Ordinal);
        return quoted.Contains('\\') ? $" E'{quoted.Replace(@"\", @"\\", StringComparison.Ordinal)}'" : $"'{quoted}'";
    }

    /// <summary>A database's name with something behind it, cut where PostgreSQL would cut it, but in the middle and not at the end.</summary>
    public static string WithSuffix(string name, string suffix)
    {
        string kept = name;
        while (System.Text.Encoding.UTF8.GetByteCount(kept + suffix) > MaximumNameBytes)
        {
            // Not half of a character.
            kept = kept[..^(kept.Length > 1 && char.IsLowSurrogate(kept[^1]) ? 2 : 1)];
        }

        return kept + suffix;
    }
}
