namespace SmcDr.Core.Redis.Rdb;

/// <summary>How an <see cref="RdbReader"/> reads.</summary>
public sealed record RdbReaderOptions
{
    /// <summary>What messages call the file, as the beginning of a sentence.</summary>
    public string Name { get; init; } = "The RDB file";

    /// <summary>Whether <see cref="RdbReader"/> gives the bytes of values. Without, it only walks them, in less memory.</summary>
    public bool KeepPayloads { get; init; }

    /// <summary>A payload of up to this many bytes is given whole, a longer one in pieces.</summary>
    public int MaximumPayload { get; init; } = 1024 * 1024;

    /// <summary>
    /// A packed structure (ziplist, listpack, zipmap, intset) of up to this many bytes, compressed or not, is looked into; of a longer
    /// one, which only unusual settings make, the elements stay uncounted. With it the memory of the reader is bounded.
    /// </summary>
    public int MaximumPackedLength { get; init; } = 32 * 1024 * 1024;

    /// <summary>A key or a function library longer than this is refused. By default Redis's own limit.</summary>
    public int MaximumKeyLength { get; init; } = 512 * 1024 * 1024;

    /// <summary>Whether the checksum is computed and compared; not for whoever has done that with the same bytes.</summary>
    public bool CheckChecksum { get; init; } = true;

    /// <summary>The instant for which expired keys are counted.</summary>
    public DateTimeOffset? ExpiryInstant { get; init; }

    /// <summary>Whether the stream stays open when the reader is disposed of.</summary>
    public bool LeaveOpen { get; init; }
}
