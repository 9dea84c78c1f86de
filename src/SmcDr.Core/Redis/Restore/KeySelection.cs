using System.Globalization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Which keys of a backup are restored.</summary>
internal sealed class KeySelection
{
    private readonly HashSet<int> _databases;
    private readonly KeyPattern[] _patterns;
    private readonly string[] _texts;

    public KeySelection(IReadOnlyCollection<int> databases, IReadOnlyCollection<string> patterns)
    {
        _databases = [.. databases];
        _texts = [.. patterns];
        // A star alone matches even the empty key.
        _patterns = _texts.Contains("*") ? [] : [.. patterns.Select(static pattern => new KeyPattern(pattern))];
    }

    /// <summary>Whether that is all of them.</summary>
    public bool IsEverything => _databases.Count == 0 && _patterns.Length == 0;

    /// <summary>Whether names decide.</summary>
    public bool HasPatterns => _patterns.Length > 0;

    /// <summary>The databases that are named, in order; empty = all.</summary>
    public IReadOnlyList<int> Databases => [.. _databases.Order()];

    public bool IsDatabaseSelected(int database) => _databases.Count == 0 || _databases.Contains(database);

    public bool IsSelected(int database, ReadOnlySpan<byte> key)
    {
        if (!IsDatabaseSelected(database))
        {
            return false;
        }

        if (_patterns.Length == 0)
        {
            return true;
        }

        foreach (KeyPattern pattern in _patterns)
        {
            if (pattern.IsMatch(key))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The databases of a backup that are restored; null where the backup does not say which it has.</summary>
    public IReadOnlyList<RedisDatabaseContent>? Of(RedisContent? content) =>
        content is null ? null : [.. content.Databases.Where(database => IsDatabaseSelected(database.Database))];

    /// <summary>In words, as the end of a sentence; empty for everything.</summary>
    public string Describe()
    {
        string databases = _databases.Count switch
        {
            0 => "",
            1 => string.Create(CultureInfo.InvariantCulture, $" of database {_databases.First()}"),
            _ => $" of the databases {string.Join(", ", Databases)}",
        };
        return databases + (HasPatterns ? $" whose names match {string.Join(" or ", _texts)}" : "");
    }
}
