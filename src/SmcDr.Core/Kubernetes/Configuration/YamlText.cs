using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Objects as YAML, in the one form in which backups hold them: keys sorted, so that the same object is the same bytes, and every text quoted that a
/// parser of YAML 1.1 or 1.2 might take for something else (<c>no</c>, <c>1e3</c>, <c>12:30</c>).
/// </summary>
internal static class YamlText
{
    // A key that is longer cannot stand before a colon (YAML 1.2.2, 7.4.2).
    private const int MaximumKey = 1000;
    private const int MaximumDepth = 200;

    private static readonly SearchValues<char> s_plain =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@+=$()-:, ");

    private static readonly HashSet<string> s_words = new(
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"], StringComparer.OrdinalIgnoreCase);

    /// <summary>The document of an object, ended by a line feed.</summary>
    public static byte[] Write(JsonObject item)
    {
        ArgumentNullException.ThrowIfNull(item);
        StringBuilder text = new(1024);
        if (HasLongKey(item))
        {
            // JSON is YAML as well, and is read as such.
            text.Append(item.ToJsonString()).Append('\n');
        }
        else
        {
            WriteMap(text, item, 0, isFirstInLine: true);
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>Reads a document that <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static JsonObject Read(ReadOnlySpan<byte> document)
    {
        try
        {
            if (document.Length > 0 && document[0] == (byte)'{')
            {
                return JsonNode.Parse(document, documentOptions: new JsonDocumentOptions { MaxDepth = MaximumDepth }) as JsonObject
                    ?? throw new FormatException("It is no object.");
            }

            Parser parser = new(new StringReader(Encoding.UTF8.GetString(document)));
            parser.Consume<StreamStart>();
            parser.Consume<DocumentStart>();
            JsonNode? root = ReadNode(parser, 0);
            parser.Consume<DocumentEnd>();
            parser.Consume<StreamEnd>();
            return root as JsonObject ?? throw new FormatException("It is no mapping.");
        }
        catch (YamlException e)
        {
            // The library's message may quote what stands around, which may be a Secret.
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"Line {e.Start.Line} is not valid YAML."));
        }
        catch (JsonException)
        {
            throw new FormatException("It is not valid JSON.");
        }
    }

    private static bool HasLongKey(JsonNode? node) => node switch
    {
        JsonObject map => map.Any(static pair => pair.Key.Length > MaximumKey || HasLongKey(pair.Value)),
        JsonArray list => list.Any(HasLongKey),
        _ => false,
    };

    private static void WriteMap(StringBuilder text, JsonObject map, int indent, bool isFirstInLine)
    {
        foreach ((string key, JsonNode? value) in map.OrderBy(static pair => pair.Key, StringComparer.Ordinal))
        {
            if (!isFirstInLine)
            {
                text.Append(' ', indent);
            }

            isFirstInLine = false;
            WriteText(text, key, null);
            text.Append(':');
            WriteValue(text, value, indent);
        }
    }

    /// <summary>A value behind the colon of its key; a list stands at the indent of the key, as kubectl has it.</summary>
    private static void WriteValue(StringBuilder text, JsonNode? value, int indent)
    {
        switch (value)
        {
            case JsonObject { Count: > 0 } map:
                text.Append('\n');
                WriteMap(text, map, indent + 2, isFirstInLine: false);
                break;
            case JsonArray { Count: > 0 } list:
                text.Append('\n');
                WriteList(text, list, indent);
                break;
            default:
                text.Append(' ');
                WriteScalar(text, value, indent + 2);
                break;
        }
    }

    private static void WriteList(StringBuilder text, JsonArray list, int indent)
    {
        foreach (JsonNode? item in list)
        {
            text.Append(' ', indent).Append("- ");
            switch (item)
            {
                case JsonObject { Count: > 0 } map:
                    WriteMap(text, map, indent + 2, isFirstInLine: true);
                    break;
                case JsonArray { Count: > 0 } inner:
                    text.Length--;
                    text.Append('\n');
                    WriteList(text, inner, indent + 2);
                    break;
                default:
                    WriteScalar(text, item, indent + 2);
                    break;
            }
        }
    }

    private static void WriteScalar(StringBuilder text, JsonNode? value, int indent)
    {
        switch (value)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject:
                text.Append("{}");
                break;
            case JsonArray:
                text.Append("[]");
                break;
            default:
                if (value.GetValueKind() == JsonValueKind.String)
                {
                    WriteText(text, value.GetValue<string>(), indent);
                }
                else
                {
                    text.Append(value.ToJsonString());
                }

                break;
        }

        if (text[^1] != '\n')
        {
            text.Append('\n');
        }
    }

    /// <param name="blockIndent">The indent of a text that is written as lines; null = it must stand in one.</param>
    private static void WriteText(StringBuilder text, string value, int? blockIndent)
    {
        if (IsPlain(value))
        {
            text.Append(value);
        }
        else if (blockIndent is int indent && IsBlock(value))
        {
            WriteBlock(text, value, indent);
        }
        else
        {
            WriteQuoted(text, value);
        }
    }

    private static bool IsPlain(string value) =>
        value.Length > 0
        && (char.IsAsciiLetter(value[0]) || value[0] == '/')
        && value[^1] is not (' ' or ':')
        && !value.AsSpan().ContainsAnyExcept(s_plain)
        && !value.Contains(": ", StringComparison.Ordinal)
        && !s_words.Contains(value);

    /// <summary>
    /// Whether a text can stand as lines that are read back the same everywhere: none with blanks alone, none that begins the text with a blank,
    /// nothing that an editor or a parser takes for the end of a line.
    /// </summary>
    private static bool IsBlock(string value)
    {
        if (!value.Contains('\n', StringComparison.Ordinal) || value[0] is ' ' or '\t' or '\n')
        {
            return false;
        }

        foreach (char c in value)
        {
            if ((char.IsControl(c) && c is not ('\n' or '\t')) || c is '\u2028' or '\u2029' or '\uFEFF' || char.IsSurrogate(c))
            {
                return false;
            }
        }

        foreach (ReadOnlySpan<char> line in value.AsSpan().EnumerateLines())
        {
            if (line.Length > 0 && line.IndexOfAnyExcept(' ', '\t') < 0)
            {
                return false;
            }
        }

        return true;
    }

    private static void WriteBlock(StringBuilder text, string value, int indent)
    {
        int end = value.AsSpan().LastIndexOfAnyExcept('\n') + 1;
        text.Append((value.Length - end) switch { 0 => "|-", 1 => "|", _ => "|+" }).Append('\n');
        foreach (ReadOnlySpan<char> line in value.AsSpan(0, end).EnumerateLines())
        {
            if (line.Length > 0)
            {
                text.Append(' ', indent).Append(line);
            }

            text.Append('\n');
        }

        text.Append('\n', Math.Max(0, value.Length - end - 1));
    }

    private static void WriteQuoted(StringBuilder text, string value)
    {
        text.Append('"');
        for (int i = 0; i < value.Length; i++)
        {
            char c = value[i];
            if (c is '"' or '\\')
            {
                text.Append('\\').Append(c);
            }
            else if (c == '\n')
            {
                text.Append("\\n");
            }
            else if (c == '\t')
            {
                text.Append("\\t");
            }
            else if (char.IsHighSurrogate(c) && i + 1 < value.Length && char.IsLowSurrogate(value[i + 1]))
            {
                text.Append(c).Append(value[++i]);
            }
            else if (char.IsControl(c) || c is '\u2028' or '\u2029' or '\uFEFF' or '\uFFFE' or '\uFFFF' || char.IsSurrogate(c))
            {
                text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
            }
            else
            {
                text.Append(c);
            }
        }

        text.Append('"');
    }

    private static JsonNode? ReadNode(Parser parser, int depth)
    {
        if (depth > MaximumDepth)
        {
            throw new FormatException("It is nested too deeply.");
        }

        if (parser.TryConsume<Scalar>(out Scalar? scalar))
        {
            return scalar.Style == ScalarStyle.Plain ? ReadPlain(scalar.Value) : JsonValue.Create(scalar.Value);
        }

        if (parser.TryConsume<SequenceStart>(out _))
        {
            JsonArray list = [];
            while (!parser.TryConsume<SequenceEnd>(out _))
            {
                list.Add(ReadNode(parser, depth + 1));
            }

            return list;
        }

        if (parser.TryConsume<MappingStart>(out _))
        {
            JsonObject map = [];
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                string key = parser.Consume<Scalar>().Value;
                if (!map.TryAdd(key, ReadNode(parser, depth + 1)))
                {
                    throw new FormatException("A key comes twice.");
                }
            }

            return map;
        }

        throw new FormatException("It holds what documents of a backup never do, such as an alias.");
    }

    private static JsonNode? ReadPlain(string value) => value switch
    {
        "null" => null,
        "true" => JsonValue.Create(true),
        "false" => JsonValue.Create(false),
        [>= '0' and <= '9' or '-', ..] => JsonNode.Parse(value),
        _ => JsonValue.Create(value),
    };
}
