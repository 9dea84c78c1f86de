using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace SmcDr.Core.Repositories;

/// <summary>
/// The digest of content that consists of pages: SHA-256 of the SHA-256 digests of its pages. So one pass over the content gives both it and
/// the hashes that a later backup compares.
/// </summary>
internal static class PageDigests
{
    /// <summary>The smallest block size of a PostgreSQL server.</summary>
    public const int SmallestPage = 1 << 10;

    private const int MostOnStack = 1 << 10;

    /// <summary>How many pages there are, the last possibly shorter.</summary>
    public static int CountOf(int length, int pageSize) => (int)(((long)length + pageSize - 1) / pageSize);

    /// <summary>Computes the digest of each page.</summary>
    public static void ComputePages(ReadOnlySpan<byte> content, int pageSize, Span<Hash256> digests)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(digests);
        for (int page = 0; !content.IsEmpty; page++)
        {
            int length = Math.Min(pageSize, content.Length);
            SHA256.HashData(content[..length], bytes.Slice(page * SHA256.HashSizeInBytes, SHA256.HashSizeInBytes));
            content = content[length..];
        }
    }

    /// <summary>The digest of the pages' digests.</summary>
    public static Hash256 Combine(ReadOnlySpan<Hash256> digests) => Hash256.Compute(MemoryMarshal.AsBytes(digests));

    /// <summary>The digest of content.</summary>
    public static Hash256 Compute(ReadOnlySpan<byte> content, int pageSize)
    {
        int count = CountOf(content.Length, pageSize);
        Span<Hash256> digests = count <= MostOnStack ? stackalloc Hash256[count] : new Hash256[count];
        ComputePages(content, pageSize, digests);
        return Combine(digests);
    }
}
