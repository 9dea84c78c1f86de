using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>Writes a manifest: lines of JSON, compressed in frames one behind the other, so that memory stays bounded.</summary>
internal static class ManifestWriter
{
    private const int FrameSize = 1 << 20;

    public static async Task<(long Length, Hash256 Hash, BlockCodec Codec)> WriteAsync(
        IObjectStore store,
        string key,
        BackupHeader header,
        IReadOnlyList<ManifestEntry> entries,
        BackupWriterOptions options,
        CancellationToken cancellationToken)
    {
        BlockCodec codec = options.Codec is null or BlockCodec.None ? BlockCodecs.Default : options.Codec.Value;
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        ArrayBufferWriter<byte> frame = new(FrameSize + (64 << 10));
        byte[] compressed = new byte[BlockCodecs.Bound(2 * FrameSize)];
        ObjectWriter writer = await store.CreateAsync(key, cancellationToken).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            using Utf8JsonWriter json = new(frame);
            foreach (ManifestLine line in Lines(header, entries))
            {
                json.Reset(frame);
                JsonSerializer.Serialize(json, line, ManifestJson.Default.ManifestLine);
                frame.Write("\n"u8);
                if (frame.WrittenCount >= FrameSize)
                {
                    await FlushAsync().ConfigureAwait(false);
                }
            }

            await FlushAsync().ConfigureAwait(false);
            long length = writer.Length;
            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
            return (length, Hash256.FromBytes(hash.GetHashAndReset()), codec);
        }

        async ValueTask FlushAsync()
        {
            if (frame.WrittenCount == 0)
            {
                return;
            }

            if (compressed.Length < BlockCodecs.Bound(frame.WrittenCount))
            {
                compressed = new byte[BlockCodecs.Bound(frame.WrittenCount)];
            }

            int length = BlockCodecs.Compress(codec, frame.WrittenSpan, compressed, options.CompressionLevel);
            if (length == 0)
            {
                // Lines of JSON always shrink; a frame that did not would need a codec of its own.
                throw new InvalidOperationException("A part of a manifest could not be compressed.");
            }

            hash.AppendData(compressed, 0, length);
            await writer.WriteAsync(compressed.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            frame.ResetWrittenCount();
        }
    }

    private static IEnumerable<ManifestLine> Lines(BackupHeader header, IReadOnlyList<ManifestEntry> entries)
    {
        yield return new ManifestLine { T = ManifestLine.HeaderLine, Header = header };

        Dictionary<(string, int), int> packs = [];
        foreach (PackReference pack in entries
            .SelectMany(static entry => entry.Extents)
            .Where(static extent => extent.Block is not null)
            .Select(static extent => extent.Block!.Pack)
            .Distinct()
            .OrderBy(static pack => pack.BackupId, StringComparer.Ordinal)
            .ThenBy(static pack => pack.Number))
        {
            packs.Add((pack.BackupId, pack.Number), packs.Count);
            yield return new ManifestLine
            {
                T = ManifestLine.PackLine, Backup = pack.BackupId, Pack = pack.Number, Length = pack.Length, Sha256 = pack.Hash,
            };
        }

        Dictionary<BlockReference, int> blocks = new(ReferenceEqualityComparer.Instance);
        foreach (ManifestEntry entry in entries)
        {
            int[][] extents = new int[entry.Extents.Count][];
            for (int i = 0; i < extents.Length; i++)
            {
                FileExtent extent = entry.Extents[i];
                int number = -1;
                if (extent.Block is { } block && !blocks.TryGetValue(block, out number))
                {
                    number = blocks.Count;
                    blocks.Add(block, number);
                    yield return new ManifestLine
                    {
                        T = ManifestLine.BlockLine,
                        Pack = packs[(block.Pack.BackupId, block.Pack.Number)],
                        At = block.Offset,
                        Stored = block.StoredLength,
                        Length = block.Length,
                        Codec = BlockCodecs.NameOf(block.Codec),
                        Crc32c = block.Crc.ToString("x8", CultureInfo.InvariantCulture),
                        Sha256 = block.Hash,
                    };
                }

                extents[i] = [number, extent.Start, extent.Length];
            }

            yield return new ManifestLine
            {
                T = entry.Kind switch
                {
                    ManifestEntryKind.File => ManifestLine.FileLine,
                    ManifestEntryKind.Directory => ManifestLine.DirectoryLine,
                    _ => ManifestLine.LinkLine,
                },
                Path = entry.Path,
                Size = entry.Kind == ManifestEntryKind.File ? entry.Size : null,
                Mode = Convert.ToString(entry.Mode, 8),
                Mtime = entry.ModifiedTime,
                To = entry.LinkTarget,
                Sha256 = entry.Hash,
                Extents = entry.Kind == ManifestEntryKind.File ? extents : null,
            };
        }

        yield return new ManifestLine
        {
            T = ManifestLine.EndLine,
            Files = entries.LongCount(static entry => entry.Kind == ManifestEntryKind.File),
            Bytes = entries.Sum(static entry => entry.Size),
        };
    }
}
