using System.Security.Cryptography;
using SmcDr.Core.Repositories;

namespace SmcDr.Bench;

/// <summary>The pages of a data directory at a moment, by their hashes.</summary>
internal sealed class DataPages
{
    private const int PageSize = 8192;
    private const int BlockSize = 1 << 20;
    private const int HashSize = 32;

    private readonly Dictionary<string, byte[]> _files = [];

    /// <summary>Finds what differs from an earlier moment: its size, and its size when compressed in blocks as a backup does.</summary>
    public static (DataPages Now, long Raw, long Compressed) Read(string directory, DataPages? before)
    {
        DataPages now = new();
        long raw = 0;
        long compressed = 0;
        byte[] block = new byte[BlockSize];
        byte[] output = new byte[BlockCodecs.Bound(BlockSize)];
        int filled = 0;
        void Flush()
        {
            if (filled > 0)
            {
                compressed += BlockCodecs.Compress(BlockCodecs.Default, block.AsSpan(0, filled), output, 1);
                filled = 0;
            }
        }

        foreach (string path in Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            string name = Path.GetRelativePath(directory, path);
            if (name.StartsWith("pg_wal/", StringComparison.Ordinal) || name is "log" or "postmaster.pid" or "postmaster.opts" ||
                name.StartsWith("pg_stat_tmp/", StringComparison.Ordinal) || name.EndsWith("pg_internal.init", StringComparison.Ordinal) ||
                name.StartsWith("pg_subtrans/", StringComparison.Ordinal))
            {
                continue;
            }

            byte[]? known = before?._files.GetValueOrDefault(name);
            byte[] content = File.ReadAllBytes(path);
            byte[] hashes = new byte[(content.Length + PageSize - 1) / PageSize * HashSize];
            for (int at = 0, to = 0; at < content.Length; at += PageSize, to += HashSize)
            {
                ReadOnlySpan<byte> page = content.AsSpan(at, Math.Min(PageSize, content.Length - at));
                SHA256.HashData(page, hashes.AsSpan(to, HashSize));
                if (before is not null &&
                    (known is null || known.Length < to + HashSize || !known.AsSpan(to, HashSize).SequenceEqual(hashes.AsSpan(to, HashSize))))
                {
                    if (filled + page.Length > BlockSize)
                    {
                        Flush();
                    }

                    page.CopyTo(block.AsSpan(filled));
                    filled += page.Length;
                    raw += page.Length;
                }
            }

            now._files.Add(name, hashes);
        }

        Flush();
        return (now, raw, compressed);
    }
}
