namespace SmcDr.Core.Redis.Rdb;

/// <summary>What an RDB file holds of one database.</summary>
public sealed class RdbDatabaseSummary
{
    private readonly RdbTypeSummary?[] _types = new RdbTypeSummary?[(int)RdbValueType.Module + 1];

    internal RdbDatabaseSummary(int database) => Database = database;

    /// <summary>The database's number.</summary>
    public int Database { get; }

    /// <summary>How many keys, expired ones among them, empty ones not: what DBSIZE said when the dump was written.</summary>
    public long Keys { get; private set; }

    /// <summary>How many keys expire at some time.</summary>
    public long KeysWithExpiry { get; private set; }

    /// <summary>How many keys a server that loads the dump at <see cref="RdbReaderOptions.ExpiryInstant"/> drops as expired.</summary>
    public long ExpiredKeys { get; private set; }

    /// <summary>How many collections without elements, which older servers could leave behind; every server drops them on loading.</summary>
    public long EmptyKeys { get; private set; }

    /// <summary>How many bytes keys and values take in the file.</summary>
    public long Bytes { get; private set; }

    /// <summary>The same by type, for types that occur.</summary>
    public IReadOnlyList<RdbTypeSummary> Types => [.. _types.Where(static type => type is not null).Select(static type => type!)];

    internal void Add(RdbEntry entry, long? expiryInstant)
    {
        if (entry.IsEmpty)
        {
            EmptyKeys++;
            return;
        }

        Keys++;
        Bytes += entry.Key.Length + entry.Length;
        if (entry.ExpiresAt is { } expiry)
        {
            KeysWithExpiry++;
            if (expiry < expiryInstant)
            {
                ExpiredKeys++;
            }
        }

        ref RdbTypeSummary? type = ref _types[(int)entry.Type];
        type ??= new RdbTypeSummary(entry.Type);
        type.Add(entry);
    }
}
