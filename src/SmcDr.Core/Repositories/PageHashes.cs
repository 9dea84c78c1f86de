using System.Security.Cryptography;

namespace SmcDr.Core.Repositories;

/// <summary>
/// Where what is known of a block's pages is kept, so that a later backup can tell which of them have changed without reading the block.
/// For each page of the cluster's block size, the last possibly shorter, the first <see cref="HashSize"/> bytes of its SHA-256 and then its first
/// <see cref="HeadSize"/> bytes, one behind the other, in a hash block that many blocks share.
/// </summary>
public sealed class PageHashes
{
    /// <summary>The bytes of one hash: enough that no two pages of all clusters ever have the same by chance.</summary>
    public const int HashSize = 16;

    /// <summary>The bytes of a page's head: <c>pd_lsn</c> and <c>pd_checksum</c> (storage/bufpage.h).</summary>
    public const int HeadSize = 10;

    /// <summary>What is kept for one page.</summary>
    public const int EntrySize = HashSize + HeadSize;

    private readonly OpenHashBlock? _open;
    private readonly BlockReference? _block;

    internal PageHashes(BlockReference block, int at)
    {
        _block = block;
        At = at;
    }

    internal PageHashes(OpenHashBlock block, int at)
    {
        _open = block;
        At = at;
    }

    /// <summary>The hash block.</summary>
    public BlockReference Block =>
        _block ?? _open!.Reference ?? throw new InvalidOperationException("The hash block is still being written.");

    /// <summary>Where in the hash block's content the first page's entry is.</summary>
    public int At { get; }

    /// <summary>Whether a page has a hash.</summary>
    internal static bool Matches(ReadOnlySpan<byte> page, ReadOnlySpan<byte> hash)
    {
        Span<byte> actual = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(page, actual);
        return actual[..HashSize].SequenceEqual(hash);
    }
}
