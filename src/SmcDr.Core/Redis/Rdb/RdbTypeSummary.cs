namespace SmcDr.Core.Redis.Rdb;

/// <summary>What an RDB file holds of one type in one database.</summary>
public sealed class RdbTypeSummary
{
    internal RdbTypeSummary(RdbValueType type) => Type = type;

    /// <summary>The type.</summary>
    public RdbValueType Type { get; }

    /// <summary>How many keys.</summary>
    public long Keys { get; private set; }

    /// <summary>How many elements, see <see cref="RdbEntry.ElementCount"/>; those that could not be counted are not in it.</summary>
    public long Elements { get; private set; }

    /// <summary>How many bytes keys and values take in the file.</summary>
    public long Bytes { get; private set; }

    internal void Add(RdbEntry entry)
    {
        Keys++;
        Elements += entry.ElementCount ?? 0;
        Bytes += entry.Key.Length + entry.Length;
    }
}
