using System.Text;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>pg_dump failed; perhaps because of one table.</summary>
internal sealed class DumpFailedException(SmcException reason, string? unreadableTable) : Exception(reason.Message, reason)
{
    private const string Command = "Command was: COPY ";

    public SmcException Reason { get; } = reason;

    /// <summary>The table whose rows could not be read, each part of its name in quotation marks.</summary>
    public string? UnreadableTable { get; } = unreadableTable;

    /// <summary>The table that pg_dump was reading when it failed: it quotes its command, <c>COPY public.orders (id) TO stdout;</c>.</summary>
    public static string? FindTable(string error)
    {
        int start = error.LastIndexOf(Command, StringComparison.Ordinal);
        if (start < 0)
        {
            return null;
        }

        ReadOnlySpan<char> rest = error.AsSpan(start + Command.Length);
        return ReadName(ref rest) is { } schema && rest is ['.', .. var behind] && ReadName(ref behind) is { } table && behind is [' ', ..]
            ? $"{Sql.Name(schema)}.{Sql.Name(table)}"
            : null;
    }

    private static string? ReadName(ref ReadOnlySpan<char> text)
    {
        if (text is not ['"', ..])
        {
            int end = text.IndexOfAny('.', ' ', '(');
            string? name = end > 0 ? text[..end].ToString() : null;
            text = end > 0 ? text[end..] : text;
            return name;
        }

        StringBuilder quoted = new();
        for (int i = 1; i < text.Length; i++)
        {
            if (text[i] != '"')
            {
                quoted.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == '"')
            {
                quoted.Append('"');
                i++;
            }
            else
            {
                text = text[(i + 1)..];
                return quoted.ToString();
            }
        }

        return null;
    }
}
