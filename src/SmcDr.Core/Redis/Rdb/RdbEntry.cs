namespace SmcDr.Core.Redis.Rdb;

/// <summary>One key of an RDB file. The reader uses the same object for every key: what it says holds until the next one is read.</summary>
public sealed class RdbEntry
{
    internal RdbEntry()
    {
    }

    /// <summary>The database that the key is in.</summary>
    public int Database { get; internal set; }

    /// <summary>The key.</summary>
    public ReadOnlyMemory<byte> Key { get; internal set; }

    /// <summary>What the value is.</summary>
    public RdbValueType Type { get; internal set; }

    /// <summary>How the value is written; its number is the first byte of the payload for RESTORE.</summary>
    public RdbEncoding Encoding { get; internal set; }

    /// <summary>When the key expires, in milliseconds since 1970, as RESTORE's ABSTTL takes it; null if it does not.</summary>
    public long? ExpiresAt { get; internal set; }

    /// <summary>How many seconds before the dump the key was used last, where the server evicts by that.</summary>
    public long? IdleSeconds { get; internal set; }

    /// <summary>How often the key is used (a logarithmic counter), where the server evicts by that.</summary>
    public byte? Frequency { get; internal set; }

    /// <summary>Where in the file the key's type byte is.</summary>
    public long Offset { get; internal set; }

    /// <summary>Where in the file the value begins, behind type and key.</summary>
    public long PayloadOffset { get; internal set; }

    /// <summary>
    /// Whether the value has been read to its end. A value longer than <see cref="RdbReaderOptions.MaximumPayload"/> whose payload is
    /// wanted has not, until <see cref="RdbReader.ReadPayloadAsync"/> gave its last piece or the next key was read.
    /// </summary>
    public bool IsComplete { get; internal set; }

    /// <summary>How many bytes the value takes in the file, without type and key; counts until <see cref="IsComplete"/>.</summary>
    public long Length { get; internal set; }

    /// <summary>
    /// Elements of a list or set, members of a sorted set, fields of a hash, entries of a stream, 1 for a string. Null before
    /// <see cref="IsComplete"/>, for a module's value, and where a packed structure was too long to be looked into.
    /// </summary>
    public long? ElementCount { get; internal set; }

    /// <summary>Whether the value is a collection without elements: a server drops such a key on loading, and RESTORE refuses it.</summary>
    public bool IsEmpty => ElementCount == 0 && Type is not (RdbValueType.String or RdbValueType.Stream);

    /// <summary>Whether a server that loads the dump at this instant drops the key as expired.</summary>
    public bool IsExpiredAt(DateTimeOffset instant) => ExpiresAt < instant.ToUnixTimeMilliseconds();
}
