namespace SmcDr.Core.Encryption;

/// <summary>The keys of a repository that could be opened: all are read with, the newest is written with.</summary>
internal sealed class RepositoryKeyring : IDisposable
{
    private readonly Dictionary<string, RepositoryKey> _keys;

    /// <summary>Creates a ring, which owns its keys.</summary>
    /// <param name="keys">The keys, oldest first, at least one.</param>
    public RepositoryKeyring(IReadOnlyList<RepositoryKey> keys)
    {
        Keys = keys;
        Current = keys[^1];
        _keys = keys.ToDictionary(static key => key.Id, StringComparer.Ordinal);
    }

    /// <summary>All keys, oldest first.</summary>
    public IReadOnlyList<RepositoryKey> Keys { get; }

    /// <summary>The key that is written with.</summary>
    public RepositoryKey Current { get; }

    /// <summary>The key of an id.</summary>
    public RepositoryKey? Find(string id) => _keys.GetValueOrDefault(id);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (RepositoryKey key in Keys)
        {
            key.Dispose();
        }
    }
}
