using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Reports;

/// <summary>Writes Markdown (CommonMark, with the tables of GitHub) that says the same whatever a name in it holds.</summary>
internal sealed class MarkdownText
{
    private const string Special = "\\`*_{}[]<>()#+-!|~&";

    private readonly StringBuilder _text = new();

    /// <summary>Text on one line, with what would mean something in Markdown escaped.</summary>
    public static string Escape(string? text)
    {
        StringBuilder escaped = new();
        foreach (char c in (text ?? "").ReplaceLineEndings(" "))
        {
            if (Special.Contains(c, StringComparison.Ordinal))
            {
                escaped.Append('\\');
            }

            escaped.Append(c);
        }

        return escaped.ToString();
    }

    public MarkdownText Heading(int level, string text)
    {
        _text.Append(_text.Length == 0 ? "" : "\n").Append('#', level).Append(' ').Append(Escape(text)).Append('\n');
        return this;
    }

    public MarkdownText Paragraph(string? text)
    {
        if (!string.IsNullOrWhiteSpace(text))
        {
            _text.Append('\n').Append(Escape(text)).Append('\n');
        }

        return this;
    }

    /// <summary>A picture in a file beside this one.</summary>
    public MarkdownText Image(string label, string file)
    {
        _text.Append("\n![").Append(Escape(label)).Append("](").Append(Uri.EscapeDataString(file)).Append(")\n");
        return this;
    }

    public MarkdownText Table(IReadOnlyList<string> headers, IEnumerable<IReadOnlyList<string?>> rows)
    {
        _text.Append('\n');
        Row(headers);
        _text.Append('|').Insert(_text.Length, " --- |", headers.Count).Append('\n');
        foreach (IReadOnlyList<string?> row in rows)
        {
            Row(row);
        }

        return this;
    }

    public override string ToString() => $"{_text}\n---\n\nSmcDr {Escape(Repository.ToolVersion)}. All times are UTC.\n";

    private void Row(IReadOnlyList<string?> cells) => _text.Append("| ").AppendJoin(" | ", cells.Select(Escape)).Append(" |\n");
}
