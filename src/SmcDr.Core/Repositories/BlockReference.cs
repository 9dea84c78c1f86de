namespace SmcDr.Core.Repositories;

/// <summary>A stored block: a run of content, compressed on its own.</summary>
public sealed class BlockReference
{
    private readonly OpenPack? _open;
    private readonly PackReference? _pack;

    internal BlockReference(PackReference pack, long offset, int storedLength, int length, BlockCodec codec, uint crc, Hash256 hash)
        : this(offset, storedLength, length, codec, crc, hash) => _pack = pack;

    internal BlockReference(OpenPack pack, long offset, int storedLength, int length, BlockCodec codec, uint crc, Hash256 hash)
        : this(offset, storedLength, length, codec, crc, hash) => _open = pack;

    private BlockReference(long offset, int storedLength, int length, BlockCodec codec, uint crc, Hash256 hash)
    {
        Offset = offset;
        StoredLength = storedLength;
        Length = length;
        Codec = codec;
        Crc = crc;
        Hash = hash;
    }

    /// <summary>The pack that holds it.</summary>
    public PackReference Pack =>
        _pack ?? _open!.Reference ?? throw new InvalidOperationException("The pack is still being written.");

    /// <summary>The first byte in the pack.</summary>
    public long Offset { get; }

    /// <summary>The length in the pack.</summary>
    public int StoredLength { get; }

    /// <summary>The length of the content.</summary>
    public int Length { get; }

    public BlockCodec Codec { get; }

    /// <summary>CRC-32C of the stored bytes: every changed byte is seen, also one that the decompressor would not mind.</summary>
    public uint Crc { get; }

    /// <summary>SHA-256 of the content; where it consists of pages, of their digests.</summary>
    public Hash256 Hash { get; }

    /// <summary>The size of the pages that <see cref="Hash"/> goes by; null where it goes by the content as a whole.</summary>
    public int? PageSize { get; internal init; }

    /// <summary>Where the hashes of its pages are kept; null where there are none.</summary>
    public PageHashes? PageHashes { get; internal set; }

    /// <summary>Whether this is the block's content.</summary>
    public bool Matches(ReadOnlySpan<byte> content) =>
        content.Length == Length && (PageSize is { } pageSize ? PageDigests.Compute(content, pageSize) : Hash256.Compute(content)) == Hash;
}
