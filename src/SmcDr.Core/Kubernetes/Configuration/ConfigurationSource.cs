using System.Runtime.CompilerServices;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>The documents of a backup. Every byte was checked.</summary>
internal sealed class ConfigurationSource
{
    private const int WindowEntries = 1000;
    private const long WindowBytes = 8 << 20;
    private const int Parallelism = 2;

    private readonly BackupReader _reader;

    private ConfigurationSource(BackupReader reader, ConfigurationBackupDetails details, IReadOnlyList<ManifestEntry> entries)
    {
        _reader = reader;
        Details = details;
        Entries = entries;
    }

    public BackupHeader Header => _reader.Header;

    public ConfigurationBackupDetails Details { get; }

    /// <summary>Where the documents stand, in the order in which they are restored; volumes that went with their claims come last.</summary>
    public IReadOnlyList<ManifestEntry> Entries { get; }

    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupUnsuitable"/>: it is another component's. Or its damage.</exception>
    public static async Task<ConfigurationSource> OpenAsync(BackupReader reader, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ConfigurationBackupDetails details = reader.Header.Configuration ?? throw new SmcException(
            SmcErrorCode.BackupUnsuitable, $"The backup '{reader.Header.Id}' is not that of a configuration.", target: reader.Header.Id);
        Manifest manifest = await reader.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        await reader.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
        return new ConfigurationSource(reader, details, manifest.Entries);
    }

    /// <summary>Reads documents, so many at a time as share blocks and fit into little memory.</summary>
    public async IAsyncEnumerable<IReadOnlyList<StoredDocument>> ReadAsync(
        IEnumerable<ManifestEntry> entries, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        List<ManifestEntry> window = [];
        long bytes = 0;
        foreach (ManifestEntry entry in entries)
        {
            if (window.Count >= WindowEntries || (window.Count > 0 && bytes + entry.Size > WindowBytes))
            {
                yield return await ReadWindowAsync(window, cancellationToken).ConfigureAwait(false);
                window.Clear();
                bytes = 0;
            }

            window.Add(entry);
            bytes += entry.Size;
        }

        if (window.Count > 0)
        {
            yield return await ReadWindowAsync(window, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<IReadOnlyList<StoredDocument>> ReadWindowAsync(List<ManifestEntry> window, CancellationToken cancellationToken)
    {
        byte[][] contents = [.. window.Select(static entry => new byte[entry.Size])];
        List<BlockReference> blocks = [];
        List<List<(int Entry, int At, FileExtent Extent)>> uses = [];
        Dictionary<BlockReference, int> known = new(ReferenceEqualityComparer.Instance);
        for (int i = 0; i < window.Count; i++)
        {
            int at = 0;
            foreach (FileExtent extent in window[i].Extents)
            {
                if (extent.Block is BlockReference block)
                {
                    if (!known.TryGetValue(block, out int number))
                    {
                        known.Add(block, number = blocks.Count);
                        blocks.Add(block);
                        uses.Add([]);
                    }

                    uses[number].Add((i, at, extent));
                }

                at += extent.Length;
            }
        }

        await _reader.ReadBlocksAsync(
            blocks,
            Parallelism,
            (index, content, _) =>
            {
                foreach ((int entry, int at, FileExtent extent) in uses[index])
                {
                    content.Slice(extent.Start, extent.Length).CopyTo(contents[entry].AsMemory(at));
                }

                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        return [.. window.Select((entry, i) => Parse(entry, contents[i]))];
    }

    private StoredDocument Parse(ManifestEntry entry, byte[] content)
    {
        Hash256 hash = Hash256.Compute(content);
        if (entry.Hash is { } expected && hash != expected)
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch, $"The content of '{entry.Path}' does not match its digest in the manifest.", target: entry.Path);
        }

        try
        {
            return new StoredDocument(entry, new KubernetesObject(YamlText.Read(content)), hash);
        }
        catch (FormatException e)
        {
            throw new SmcException(
                SmcErrorCode.ManifestInvalid, $"The document '{entry.Path}' of the backup '{Header.Id}' is not valid: {e.Message}", e, target: entry.Path);
        }
    }
}
