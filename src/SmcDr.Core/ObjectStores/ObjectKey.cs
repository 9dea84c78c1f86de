namespace SmcDr.Core.ObjectStores;

/// <summary>The keys that SmcDr uses: a narrow set that every file system and every S3 dialect stores as it is.</summary>
public static class ObjectKey
{
    private const int MaximumLength = 512;

    /// <summary>Throws where <paramref name="key"/> could leave the store's location or be stored under another name.</summary>
    /// <exception cref="ArgumentException">The key is empty, too long, rooted, holds <c>.</c> or <c>..</c> as a part, an empty part, or a character outside <c>A-Z a-z 0-9 . _ - /</c>.</exception>
    public static string Validate(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        if (key.Length > MaximumLength)
        {
            throw new ArgumentException($"An object key of {key.Length} characters is too long.", nameof(key));
        }

        if (!IsValid(key))
        {
            throw new ArgumentException($"'{key}' is not a valid object key.", nameof(key));
        }

        return key;
    }

    /// <summary>Whether <see cref="Validate"/> would accept <paramref name="key"/>; what it would not is none of SmcDr's objects.</summary>
    public static bool IsValid(ReadOnlySpan<char> key)
    {
        if (key.Length is 0 or > MaximumLength)
        {
            return false;
        }

        foreach (Range range in key.Split('/'))
        {
            ReadOnlySpan<char> part = key[range];
            if (part.IsEmpty || part is "." or ".." || part.ContainsAnyExcept(s_allowed))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Throws where <paramref name="prefix"/> is neither empty nor a valid key followed by <c>/</c>.</summary>
    public static string ValidatePrefix(string prefix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (prefix.Length > 0)
        {
            if (prefix[^1] != '/')
            {
                throw new ArgumentException($"'{prefix}' is not a valid prefix: it must end with '/'.", nameof(prefix));
            }

            Validate(prefix[..^1]);
        }

        return prefix;
    }

    private static readonly System.Buffers.SearchValues<char> s_allowed = System.Buffers.SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
}
