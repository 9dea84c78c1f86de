using SmcDr.Core.Repositories;

namespace SmcDr.Core.Verification;

/// <summary>A block that is to be verified, and the small files in it that have digests of their own.</summary>
internal sealed class VerifiedBlock(BlockReference block)
{
    public long Offset => block.Offset;

    public int StoredLength => block.StoredLength;

    public int Length => block.Length;

    public (long Offset, Hash256 Hash) Identity => (block.Offset, block.Hash);

    /// <summary>Where files lie in the content, and their digests. Their names would take more memory than all the rest.</summary>
    public List<(int Start, int Length, Hash256 Hash)> Files { get; } = [];

    /// <summary>What is wrong with the block; null where nothing is.</summary>
    public string? FindProblem(ReadOnlySpan<byte> stored, Span<byte> content)
    {
        if (Crc32C.Compute(stored) != block.Crc)
        {
            return "its checksum is another";
        }

        if (!BlockCodecs.TryDecompress(block.Codec, stored, content))
        {
            return "it cannot be decompressed";
        }

        if (!block.Matches(content))
        {
            return "the digest of its content is another";
        }

        foreach ((int start, int length, Hash256 hash) in Files)
        {
            if (Hash256.Compute(content.Slice(start, length)) != hash)
            {
                return "the digest of a file in it is another";
            }
        }

        return null;
    }
}
