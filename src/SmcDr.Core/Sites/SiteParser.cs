using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace SmcDr.Core.Sites;

/// <summary>
/// Makes the tree of a YAML document, with positions, from YamlDotNet's events. Its own object model would do, but stops at the
/// first duplicate key; and a file that names itself over and over (a "billion laughs") must stay small.
/// </summary>
internal sealed class SiteParser
{
    private const int MaximumDepth = 32;
    private const int MaximumNodes = 100_000;
    private readonly Parser _parser;
    private readonly Action<Mark, string> _report;
    private readonly Dictionary<AnchorName, (SiteNode Node, int Count)> _anchors = [];
    private int _count;

    private SiteParser(string text, Action<Mark, string> report)
    {
        _parser = new Parser(new StringReader(text));
        _report = report;
    }

    /// <summary>Parses a document; null where there is nothing in it.</summary>
    /// <param name="text">The YAML.</param>
    /// <param name="report">Hears of what is wrong without hindering the reading on.</param>
    /// <exception cref="YamlException">It is not YAML, holds several documents, or is too large.</exception>
    public static SiteNode? Parse(string text, Action<Mark, string> report)
    {
        SiteParser parser = new(text, report);
        try
        {
            return parser.ParseStream();
        }
        catch (InvalidOperationException e)
        {
            // YamlDotNet's scanner throws it for a list or mapping in brackets that is never closed before the next key.
            throw new YamlException(parser.Position, parser.Position, "a bracket is not closed before the next key", e);
        }
        catch (YamlException e)
        {
            // Some of its errors carry the beginning of the file in place of where the scanner was.
            Mark place = e.Start.Index > 0 ? e.Start : parser.Position;
            throw new YamlException(FindTab(text, e, place) ?? place, place, e.Message, e);
        }
    }

    /// <summary>How far the parser has come for sure.</summary>
    private Mark Position => _parser.Current?.End ?? Mark.Empty;

    /// <summary>Where an error is about a tab: the first line from there on that a tab indents, which nobody sees in an editor.</summary>
    private static Mark? FindTab(string text, YamlException error, Mark from)
    {
        if (!error.Message.Contains("tab", StringComparison.Ordinal))
        {
            return null;
        }

        string[] lines = text.Split('\n');
        for (long i = Math.Max(from.Line - 1, 0); i < lines.Length; i++)
        {
            string line = lines[i];
            int tab = line.IndexOf('\t', StringComparison.Ordinal);
            if (tab >= 0 && string.IsNullOrWhiteSpace(line[..tab]))
            {
                return new Mark(0, i + 1, tab + 1);
            }
        }

        return null;
    }

    private SiteNode? ParseStream()
    {
        _parser.Consume<StreamStart>();
        if (_parser.Accept<StreamEnd>(out _))
        {
            return null;
        }

        _parser.Consume<DocumentStart>();
        SiteNode node = ParseNode(0);
        _parser.Consume<DocumentEnd>();
        return _parser.Accept<DocumentStart>(out DocumentStart? second)
            ? throw new YamlException(second.Start, second.End, "a second document begins here, and a site file holds one")
            : node;
    }

    private SiteNode ParseNode(int depth)
    {
        int before = _count;
        if (depth > MaximumDepth || ++_count > MaximumNodes)
        {
            ParsingEvent here = _parser.Current!;
            throw new YamlException(here.Start, here.End, "the file is nested too deeply or holds too many values");
        }

        if (_parser.TryConsume<AnchorAlias>(out AnchorAlias? alias))
        {
            if (!_anchors.TryGetValue(alias.Value, out (SiteNode Node, int Count) target))
            {
                throw new YamlException(alias.Start, alias.End, $"the alias '*{alias.Value}' has no anchor before it");
            }

            // An alias costs what it stands for: that is what keeps aliases of aliases from growing without bound.
            _count += target.Count;
            return target.Node;
        }

        NodeEvent start = _parser.Accept<NodeEvent>(out NodeEvent? node)
            ? node
            : throw new YamlException(_parser.Current!.Start, _parser.Current.End, "a value is expected");
        SiteNode result = start switch
        {
            Scalar scalar => ParseScalar(scalar),
            SequenceStart => ParseSequence(depth),
            _ => ParseMapping(depth),
        };
        if (!start.Anchor.IsEmpty)
        {
            _anchors[start.Anchor] = (result, _count - before);
        }

        return result;
    }

    private SiteNode.Scalar ParseScalar(Scalar scalar)
    {
        _parser.MoveNext();
        bool isPlain = scalar.Style == ScalarStyle.Plain;
        bool isNull = isPlain && scalar.Value is "" or "~" or "null" or "Null" or "NULL";
        return new SiteNode.Scalar(scalar.Start, isNull ? null : scalar.Value, isPlain);
    }

    private SiteNode.Sequence ParseSequence(int depth)
    {
        SequenceStart start = _parser.Consume<SequenceStart>();
        List<SiteNode> items = [];
        while (!_parser.TryConsume<SequenceEnd>(out _))
        {
            items.Add(ParseNode(depth + 1));
        }

        return new SiteNode.Sequence(start.Start, items);
    }

    private SiteNode.Mapping ParseMapping(int depth)
    {
        MappingStart start = _parser.Consume<MappingStart>();
        List<KeyValuePair<SiteNode.Scalar, SiteNode>> entries = [];
        Dictionary<string, Mark> seen = new(StringComparer.Ordinal);
        while (!_parser.TryConsume<MappingEnd>(out _))
        {
            SiteNode key = ParseNode(depth + 1);
            SiteNode value = ParseNode(depth + 1);
            if (key is not SiteNode.Scalar { Value: { } name } scalar)
            {
                _report(key.Start, "A key must be a text.");
            }
            else if (!seen.TryAdd(name, key.Start))
            {
                _report(key.Start, $"The key '{name}' is there already in line {seen[name].Line}.");
            }
            else
            {
                entries.Add(new(scalar, value));
            }
        }

        return new SiteNode.Mapping(start.Start, entries);
    }
}
