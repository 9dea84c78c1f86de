namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// LZF: runs of up to 32 bytes as they are, and references of 3 to 264 bytes to what came out up to 8192 bytes before.
/// </summary>
internal static class Lzf
{
    /// <summary>Three bytes refer to 264 at most.</summary>
    public const int MaximumRatio = 88;

    /// <summary>Decompresses; false unless exactly <paramref name="output"/> comes out.</summary>
    public static bool TryDecompress(ReadOnlySpan<byte> input, Span<byte> output)
    {
        int at = 0;
        int written = 0;
        while (at < input.Length)
        {
            int control = input[at++];
            if (control < 32)
            {
                int run = control + 1;
                if (run > input.Length - at || run > output.Length - written)
                {
                    return false;
                }

                input.Slice(at, run).CopyTo(output[written..]);
                at += run;
                written += run;
                continue;
            }

            int length = control >> 5;
            if (length == 7)
            {
                if (at == input.Length)
                {
                    return false;
                }

                length += input[at++];
            }

            if (at == input.Length)
            {
                return false;
            }

            length += 2;
            int distance = ((control & 0x1F) << 8) + input[at++] + 1;
            if (distance > written || length > output.Length - written)
            {
                return false;
            }

            int from = written - distance;
            if (distance >= length)
            {
                output.Slice(from, length).CopyTo(output[written..]);
            }
            else
            {
                // Source and target overlap: a short distance repeats.
                for (int i = 0; i < length; i++)
                {
                    output[written + i] = output[from + i];
                }
            }

            written += length;
        }

        return written == output.Length;
    }
}
