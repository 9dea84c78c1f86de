using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Repositories;

/// <summary>A small backup that has one of everything: shared blocks, several packs, zeros, a folder, a link, an empty file.</summary>
internal static class SampleBackup
{
    public static readonly BackupWriterOptions SmallPacks = new() { PackSize = 1_200, SharedBlockSize = 500 };

    public static SortedDictionary<string, byte[]> Files(int seed)
    {
        Random random = new(seed);
        SortedDictionary<string, byte[]> files = new(StringComparer.Ordinal)
        {
            ["empty"] = [],
            ["folder/zeros"] = new byte[5_000],
            ["folder/noise"] = Noise(random, 2_000),
            ["folder/text"] = System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("all work and no play ", 300))),
        };
        for (int i = 0; i < 12; i++)
        {
            files[$"small/{i}"] = Noise(random, random.Next(1, 150));
        }

        return files;
    }

    /// <summary>A marker as a newer version would have written it.</summary>
    public static byte[] OfNewerFormat(byte[] marker)
    {
        string json = System.Text.Encoding.UTF8.GetString(Envelope.OpenWhole(marker, "marker").Span);
        string newer = json.Replace("{\"format\":1,", "{\"format\":2,", StringComparison.Ordinal);
        Assert.NotEqual(json, newer);
        return Envelope.Seal(System.Text.Encoding.UTF8.GetBytes(newer));
    }

    public static async Task<BackupHeader> WriteAsync(
        Repository repository, SortedDictionary<string, byte[]> files, BackupWriterOptions? options = null)
    {
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.FileStore, "Full", "sample", "site", null, options ?? SmallPacks, CancellationToken.None);
        await using PackLane lane = writer.OpenLane();
        writer.Add(new ManifestEntry { Kind = ManifestEntryKind.Directory, Path = "folder", Mode = 0x1C0 });
        writer.Add(new ManifestEntry { Kind = ManifestEntryKind.Link, Path = "link", LinkTarget = "folder/text" });
        foreach ((string path, byte[] content) in files)
        {
            ManifestEntry entry = new()
            {
                Kind = ManifestEntryKind.File,
                Path = path,
                Mode = 0x180,
                ModifiedTime = DateTimeOffset.UnixEpoch.AddDays(20_000),
            };
            if (content.Length < 400)
            {
                await lane.AddSmallFileAsync(entry, content, CancellationToken.None);
            }
            else
            {
                List<FileExtent> extents = [];
                for (int at = 0; at < content.Length; at += 700)
                {
                    extents.Add(await lane.WriteAsync(
                        content.AsMemory(at, Math.Min(700, content.Length - at)), CancellationToken.None));
                }

                writer.Add(entry with { Size = content.Length, Extents = extents });
            }
        }

        await lane.FinishAsync(CancellationToken.None);
        return await writer.CompleteAsync("Full", static header => header, CancellationToken.None);
    }

    /// <summary>Reads a backup from a store that knows nothing yet, as a restore would.</summary>
    public static async Task<SortedDictionary<string, byte[]>> ReadAsync(IObjectStore store, string id) =>
        await ReadAsync(await Repository.OpenAsync(store, CancellationToken.None), id);

    public static async Task<SortedDictionary<string, byte[]>> ReadAsync(Repository repository, string id)
    {
        BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, id, CancellationToken.None);
        Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
        await reader.CheckPacksAsync(manifest, CancellationToken.None);

        List<(ManifestEntry Entry, long At, FileExtent Extent)> parts = [];
        SortedDictionary<string, byte[]> files = new(StringComparer.Ordinal);
        foreach (ManifestEntry entry in manifest.Entries.Where(static entry => entry.Kind == ManifestEntryKind.File))
        {
            files[entry.Path] = new byte[entry.Size];
            long at = 0;
            foreach (FileExtent extent in entry.Extents)
            {
                parts.Add((entry, at, extent));
                at += extent.Length;
            }
        }

        List<(ManifestEntry Entry, long At, FileExtent Extent)> stored = [.. parts.Where(static part => part.Extent.Block is not null)];
        await reader.ReadBlocksAsync(
            [.. stored.Select(static part => part.Extent.Block!)],
            parallelism: 2,
            (index, content, _) =>
            {
                (ManifestEntry entry, long at, FileExtent extent) = stored[index];
                content.Span.Slice(extent.Start, extent.Length).CopyTo(files[entry.Path].AsSpan((int)at));
                return ValueTask.CompletedTask;
            },
            CancellationToken.None);
        return files;
    }

    private static byte[] Noise(Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }
}
