namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>PostgreSQL's own compression (pg_lzcompress.c), in which page images stand with <c>wal_compression = on</c>.</summary>
internal static class PgLz
{
    /// <summary>Decompresses; false where that does not give exactly as many bytes as there is room for.</summary>
    public static bool TryDecompress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        int from = 0;
        int to = 0;
        while (from < source.Length && to < destination.Length)
        {
            // A control byte tells of each of the eight items behind it whether it is a byte or a reference to earlier ones.
            int control = source[from++];
            for (int bit = 0; bit < 8 && from < source.Length && to < destination.Length; bit++, control >>= 1)
            {
                if ((control & 1) == 0)
                {
                    destination[to++] = source[from++];
                    continue;
                }

                if (from + 2 > source.Length)
                {
                    return false;
                }

                int length = (source[from] & 0x0F) + 3;
                int distance = ((source[from] & 0xF0) << 4) | source[from + 1];
                from += 2;
                if (length == 18)
                {
                    if (from == source.Length)
                    {
                        return false;
                    }

                    length += source[from++];
                }

                if (distance == 0 || distance > to)
                {
                    return false;
                }

                // Byte by byte: a reference may reach into what it makes.
                for (int end = Math.Min(to + length, destination.Length); to < end; to++)
                {
                    destination[to] = destination[to - distance];
                }
            }
        }

        return from == source.Length && to == destination.Length;
    }
}
