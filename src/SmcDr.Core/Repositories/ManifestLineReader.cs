using System.Text.Json;

namespace SmcDr.Core.Repositories;

/// <summary>Splits decompressed text into the lines of a manifest, one in memory at a time.</summary>
internal static class ManifestLineReader
{
    private const int BufferSize = 256 << 10;

    /// <exception cref="InvalidDataException">The text does not end with a line feed, or its compression is damaged.</exception>
    /// <exception cref="JsonException">A line is not valid.</exception>
    public static IEnumerable<ManifestLine> Read(Stream text)
    {
        byte[] buffer = new byte[BufferSize];
        int start = 0;
        int end = 0;
        int searched = 0;
        while (true)
        {
            int length = buffer.AsSpan(searched, end - searched).IndexOf((byte)'\n');
            if (length >= 0)
            {
                int lineEnd = searched + length;
                yield return JsonSerializer.Deserialize(buffer.AsSpan(start, lineEnd - start), ManifestJson.Default.ManifestLine)
                    ?? throw new InvalidDataException("a line is null");
                start = searched = lineEnd + 1;
                continue;
            }

            if (start > 0)
            {
                buffer.AsSpan(start, end - start).CopyTo(buffer);
                end -= start;
                start = 0;
            }

            if (end == buffer.Length)
            {
                Array.Resize(ref buffer, checked(buffer.Length * 2));
            }

            searched = end;
            int read = text.Read(buffer, end, buffer.Length - end);
            if (read == 0)
            {
                if (end > 0)
                {
                    throw new InvalidDataException("it ends too early");
                }

                yield break;
            }

            end += read;
        }
    }
}
