using System.Buffers.Binary;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>The LZ4 block format, in which page images stand with <c>wal_compression = lz4</c> (LZ4_compress_default, without a frame).</summary>
internal static class Lz4Block
{
    /// <summary>Decompresses; false where that does not give exactly as many bytes as there is room for.</summary>
    public static bool TryDecompress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        const int MinimumMatch = 4;
        int from = 0;
        int to = 0;
        while (from < source.Length)
        {
            int token = source[from++];
            if (!TryReadLength(source, ref from, token >> 4, out int literals) ||
                literals > source.Length - from || literals > destination.Length - to)
            {
                return false;
            }

            source.Slice(from, literals).CopyTo(destination[to..]);
            from += literals;
            to += literals;
            if (from == source.Length)
            {
                break;
            }

            if (from + 2 > source.Length)
            {
                return false;
            }

            int distance = BinaryPrimitives.ReadUInt16LittleEndian(source[from..]);
            from += 2;
            if (!TryReadLength(source, ref from, token & 0x0F, out int match) || distance == 0 || distance > to ||
                match + MinimumMatch > destination.Length - to)
            {
                return false;
            }

            // Byte by byte: a match may reach into what it makes.
            for (int end = to + match + MinimumMatch; to < end; to++)
            {
                destination[to] = destination[to - distance];
            }
        }

        return to == destination.Length;
    }

    private static bool TryReadLength(ReadOnlySpan<byte> source, ref int from, int start, out int length)
    {
        length = start;
        if (start < 15)
        {
            return true;
        }

        byte next;
        do
        {
            // No image is longer than a page, so a longer number is damage.
            if (from == source.Length || length > 1 << 20)
            {
                return false;
            }

            next = source[from++];
            length += next;
        }
        while (next == 255);
        return true;
    }
}
