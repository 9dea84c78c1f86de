namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>Chooses objects by their labels, in kubectl's words: <c>app=web,tier!=test,owner,!legacy,zone in (a,b)</c>.</summary>
internal sealed class LabelSelector
{
    private readonly List<Func<IReadOnlyDictionary<string, string>, bool>> _requirements = [];

    private LabelSelector()
    {
    }

    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: it is none.</exception>
    public static LabelSelector Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        LabelSelector selector = new();
        foreach (string part in Split(text))
        {
            selector._requirements.Add(ParseOne(part) ?? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{text}' is no selector of labels: '{part}' is not understood.",
                recommendation: "Write it as kubectl takes it, such as app=web,tier!=test or 'zone in (a,b)'."));
        }

        return selector;
    }

    public bool Matches(IReadOnlyDictionary<string, string> labels) => _requirements.TrueForAll(requirement => requirement(labels));

    /// <summary>The parts between commas that are not in brackets.</summary>
    private static List<string> Split(string text)
    {
        List<string> parts = [];
        int start = 0;
        int depth = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || (text[i] == ',' && depth == 0))
            {
                parts.Add(text[start..i].Trim());
                start = i + 1;
            }
            else
            {
                depth += text[i] switch { '(' => 1, ')' => -1, _ => 0 };
            }
        }

        return parts;
    }

    private static Func<IReadOnlyDictionary<string, string>, bool>? ParseOne(string part)
    {
        string[] words = part.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words is [var listed, "in" or "notin", ['(', .., ')'] list])
        {
            HashSet<string> values = new(list[1..^1].Split(',', StringSplitOptions.TrimEntries), StringComparer.Ordinal);
            return words[1] == "in"
                ? labels => labels.TryGetValue(listed, out string? value) && values.Contains(value)
                : labels => !labels.TryGetValue(listed, out string? value) || !values.Contains(value);
        }

        int equals = part.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
        {
            string name = part.TrimStart('!');
            return !IsName(name) ? null : part[0] == '!' ? labels => !labels.ContainsKey(name) : labels => labels.ContainsKey(name);
        }

        bool isNot = equals > 0 && part[equals - 1] == '!';
        string key = part[..(isNot ? equals - 1 : equals)].Trim();
        string wanted = part[(equals + 1)..].TrimStart('=').Trim();
        return !IsName(key) ? null
            : isNot ? labels => !labels.TryGetValue(key, out string? value) || value != wanted
            : labels => labels.TryGetValue(key, out string? value) && value == wanted;
    }

    private static bool IsName(string text) => text.Length > 0 && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '/');
}
