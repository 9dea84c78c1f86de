using System.Globalization;
using System.Text;

namespace SmcDr.Core.Redis.Offline;

/// <summary>What a server is told before it starts: its configuration file, files that it includes, and its arguments, the later winning.</summary>
internal sealed class RedisConfiguration
{
    private const int MaximumIncludes = 100;
    private readonly Dictionary<string, string[]> _values = new(StringComparer.OrdinalIgnoreCase);
    private int _includes;

    /// <summary>The values of a setting, as they are said last; null where it is not said. Of <c>save</c>, all pairs.</summary>
    public IReadOnlyList<string>? this[string name] => _values.GetValueOrDefault(name);

    /// <summary>Adds a file.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: it cannot be read, or no server would take it.</exception>
    public void AddFile(string path)
    {
        if (++_includes > MaximumIncludes)
        {
            throw Invalid(path, "it includes more than a hundred files, or itself");
        }

        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Invalid(path, e.Message.TrimEnd('.'), e);
        }

        AddLines(path, lines, pattern =>
        {
            foreach (string included in Expand(pattern, path))
            {
                AddFile(included);
            }
        });
    }

    /// <summary>Adds what a file elsewhere holds.</summary>
    /// <returns>Whether that is all: what such a file includes is not looked at.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: no server would take it.</exception>
    public bool AddText(string path, string text)
    {
        bool isAll = true;
        AddLines(path, text.Split('\n'), _ => isAll = false);
        return isAll;
    }

    /// <summary>Adds what stands behind the program's name and its file: <c>--name value …</c>.</summary>
    public void AddArguments(IReadOnlyList<string> arguments)
    {
        for (int i = 0; i < arguments.Count; i++)
        {
            if (arguments[i].StartsWith("--", StringComparison.Ordinal))
            {
                string[] values = [.. arguments.Skip(i + 1).TakeWhile(static word => !word.StartsWith("--", StringComparison.Ordinal))];
                Add(arguments[i][2..], values);
            }
        }
    }

    /// <summary>
    /// A line in words, as a server takes it (sds.c, sdssplitargs): double quotes with escapes, single quotes with none but their own. Null where they do
    /// not match.
    /// </summary>
    internal static string[]? Split(string line)
    {
        List<string> words = [];
        StringBuilder word = new();
        int at = 0;
        while (true)
        {
            while (at < line.Length && char.IsWhiteSpace(line[at]))
            {
                at++;
            }

            if (at == line.Length)
            {
                return words.Count > 0 ? [.. words] : null;
            }

            word.Clear();
            char quote = '\0';
            for (; at < line.Length && (quote != '\0' || !char.IsWhiteSpace(line[at])); at++)
            {
                char c = line[at];
                if (quote == '\0')
                {
                    if (c is '"' or '\'')
                    {
                        quote = c;
                    }
                    else
                    {
                        word.Append(c);
                    }
                }
                else if (c == quote)
                {
                    quote = '\0';
                    if (at + 1 < line.Length && !char.IsWhiteSpace(line[at + 1]))
                    {
                        return null;
                    }
                }
                else if (c == '\\' && at + 1 < line.Length && (quote == '"' || line[at + 1] == '\''))
                {
                    at = Unescape(line, at + 1, quote, word);
                }
                else
                {
                    word.Append(c);
                }
            }

            if (quote != '\0')
            {
                return null;
            }

            words.Add(word.ToString());
        }
    }

    private void AddLines(string path, string[] lines, Action<string> include)
    {
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            string[] words = Split(line)
                ?? throw Invalid(path, string.Create(CultureInfo.InvariantCulture, $"the quotes in line {i + 1} do not match"));
            if (words[0].Equals("include", StringComparison.OrdinalIgnoreCase) && words.Length == 2)
            {
                include(words[1]);
            }
            else
            {
                Add(words[0], words[1..]);
            }
        }
    }

    private static int Unescape(string line, int at, char quote, StringBuilder word)
    {
        if (quote == '"' && line[at] == 'x' && at + 2 < line.Length &&
            byte.TryParse(line.AsSpan(at + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
        {
            word.Append((char)value);
            return at + 2;
        }

        word.Append(quote == '\'' ? line[at] : line[at] switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\b',
            'a' => '\a',
            char other => other,
        });
        return at;
    }

    private void Add(string name, string[] values)
    {
        // Each line adds pairs to those before; an empty one takes them away (config.c, setConfigSaveOption).
        _values[name] = name.Equals("save", StringComparison.OrdinalIgnoreCase) && values is not [""] && _values.TryGetValue(name, out string[]? before)
            ? [.. before.Where(static value => value.Length > 0), .. values]
            : values;
    }

    private static IEnumerable<string> Expand(string pattern, string includedFrom)
    {
        if (!Path.IsPathRooted(pattern))
        {
            throw Invalid(includedFrom, $"it includes '{pattern}', and from which directory cannot be known");
        }

        string name = Path.GetFileName(pattern);
        string directory = Path.GetDirectoryName(pattern)!;
        return name.AsSpan().IndexOfAny('*', '?') < 0
            ? [pattern]
            : Directory.Exists(directory) ? Directory.GetFiles(directory, name).Order(StringComparer.Ordinal) : [];
    }

    private static SmcException Invalid(string path, string reason, Exception? inner = null) => new(
        SmcErrorCode.TargetUnsuitable,
        $"The configuration file '{path}' of Redis cannot be used: {reason}.",
        inner,
        "Without it nobody knows how the server is started again. Correct it, or run the command as an account that may read it, such as root.",
        path);
}
