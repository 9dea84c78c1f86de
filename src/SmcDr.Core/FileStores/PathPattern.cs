using System.IO.Enumeration;

namespace SmcDr.Core.FileStores;

/// <summary>
/// A pattern of paths below a root. <c>*</c> and <c>?</c> stand for characters of one name, <c>**</c> for any number of names. A pattern
/// without <c>/</c> is looked for at any depth; one with it begins at the root. A directory that matches stands for all that is below it.
/// </summary>
public sealed class PathPattern
{
    private const string AnyDepth = "**";
    private readonly string[] _parts;

    private PathPattern(string text, string[] parts)
    {
        Text = text;
        _parts = parts;
    }

    /// <summary>The pattern as it was given.</summary>
    public string Text { get; }

    /// <summary>Parses a pattern.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: it is empty or has <c>.</c> or <c>..</c> as a part.</exception>
    public static PathPattern Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string trimmed = text.Trim('/');
        string[] parts = trimmed.Split('/');
        if (parts.Any(static part => part is "" or "." or ".."))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"'{text}' is no pattern of paths below a root, such as '*.log' or 'conf/**/*.yaml'.", target: text);
        }

        bool anywhere = parts.Length == 1 && !text.StartsWith('/');
        return new PathPattern(text, anywhere ? [AnyDepth, .. parts] : parts);
    }

    /// <summary>Whether a path matches.</summary>
    public bool Matches(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Matches(_parts, path);
    }

    /// <summary>Whether a path or one of the directories that lead to it matches.</summary>
    public bool MatchesOrContains(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        for (int end = path.IndexOf('/', StringComparison.Ordinal); end >= 0; end = path.IndexOf('/', end + 1))
        {
            if (Matches(_parts, path.AsSpan(0, end)))
            {
                return true;
            }
        }

        return Matches(path);
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private static bool Matches(ReadOnlySpan<string> parts, ReadOnlySpan<char> path)
    {
        while (!parts.IsEmpty && parts[0] != AnyDepth)
        {
            if (path.IsEmpty)
            {
                return false;
            }

            int end = path.IndexOf('/');
            ReadOnlySpan<char> name = end < 0 ? path : path[..end];
            if (!FileSystemName.MatchesSimpleExpression(parts[0], name, ignoreCase: false))
            {
                return false;
            }

            parts = parts[1..];
            path = end < 0 ? default : path[(end + 1)..];
        }

        if (parts.IsEmpty)
        {
            return path.IsEmpty;
        }

        parts = parts[1..];
        if (parts.IsEmpty)
        {
            return true;
        }

        while (!path.IsEmpty)
        {
            if (Matches(parts, path))
            {
                return true;
            }

            int end = path.IndexOf('/');
            path = end < 0 ? default : path[(end + 1)..];
        }

        return false;
    }
}
