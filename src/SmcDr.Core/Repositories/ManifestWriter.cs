using System.Globalization;
using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>Writes a manifest: lines of JSON, compressed in frames one behind the other, so that memory stays bounded.</summary>
internal static class ManifestWriter
{
    public static async Task<(long Length, Hash256 Hash, BlockCodec Codec)> WriteAsync(
        IObjectStore store,
        string key,
        BackupHeader header,
        ManifestSpool entries,
        BackupWriterOptions options,
        CancellationToken cancellationToken)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using ManifestFrame frame = new(options, ManifestFrame.DurableLevel);
        ObjectWriter writer = await store.CreateAsync(key, cancellationToken).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            foreach (ManifestLine line in Lines(header, entries))
            {
                frame.Add(line);
                if (frame.IsFull)
                {
                    await FlushAsync().ConfigureAwait(false);
                }
            }

            await FlushAsync().ConfigureAwait(false);
            long length = writer.Length;
            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
            return (length, Hash256.FromBytes(hash.GetHashAndReset()), frame.Codec);
        }

        async ValueTask FlushAsync()
        {
            ReadOnlyMemory<byte> bytes = frame.Take();
            if (!bytes.IsEmpty)
            {
                hash.AppendData(bytes.Span);
                await writer.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static IEnumerable<ManifestLine> Lines(BackupHeader header, ManifestSpool entries)
    {
        yield return new ManifestLine { T = ManifestLine.HeaderLine, Header = header };

        Dictionary<(string, int), int> packs = [];
        foreach (PackReference pack in entries.Packs())
        {
            packs.Add((pack.BackupId, pack.Number), packs.Count);
            yield return new ManifestLine
            {
                T = ManifestLine.PackLine, Backup = pack.BackupId, Pack = pack.Number, Length = pack.Length, Sha256 = pack.Hash,
            };
        }

        ExtentText extents = new();
        Dictionary<BlockReference, int> blocks = new(ReferenceEqualityComparer.Instance);
        foreach (ManifestEntry entry in entries.ReadSorted())
        {
            foreach (FileExtent extent in entry.Extents)
            {
                if (extent.Block is { } block && !blocks.ContainsKey(block))
                {
                    if (block.PageHashes is { } hashes && blocks.TryAdd(hashes.Block, blocks.Count))
                    {
                        yield return Line(hashes.Block);
                    }

                    blocks.Add(block, blocks.Count);
                    yield return Line(block);
                }
            }

            yield return ManifestLine.From(entry, extents, block => blocks[block]);
        }

        yield return new ManifestLine { T = ManifestLine.EndLine, Files = entries.Files, Bytes = entries.Bytes };

        ManifestLine Line(BlockReference block) => new()
        {
            T = ManifestLine.BlockLine,
            Pack = packs[(block.Pack.BackupId, block.Pack.Number)],
            At = block.Offset,
            Stored = block.StoredLength,
            Length = block.Length,
            Codec = BlockCodecs.NameOf(block.Codec),
            Crc32c = block.Crc.ToString("x8", CultureInfo.InvariantCulture),
            Sha256 = block.Hash,
            PageSize = block.PageSize,
            Hashes = block.PageHashes is { } hashes ? [blocks[hashes.Block], hashes.At] : null,
        };
    }
}
