using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>
/// Reads files into a backup: content that the known entry has already is not stored again, holes are not read, and a file that changes
/// meanwhile is noticed. One for each worker; not safe for concurrent use.
/// </summary>
internal sealed class FileContentReader(
    BackupWriter writer, PackLane lane, FileStoreBackupOptions options, AccountNames accounts, FileStoreTally tally)
{
    /// <summary>Files up to this size share blocks.</summary>
    public const int SmallFile = 256 << 10;

    private const int SmallBlock = 1 << 20;
    private const int MediumBlock = 4 << 20;
    private const int LargeBlock = 16 << 20;
    private const long MediumFile = 1L << 30;
    private const long LargeFile = 256L << 30;
    private const int LongestZeros = 1 << 30;

    private byte[] _buffer = new byte[SmallFile];

    /// <summary>Adds a file to the backup. False where it is gone or cannot be read, which has been told then.</summary>
    /// <param name="path">Its path in the manifest.</param>
    /// <param name="directory">The directory that it is in.</param>
    /// <param name="name">Its name there.</param>
    /// <param name="known">The parent's entry of the path.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async ValueTask<bool> ReadAsync(
        string path, DirectoryHandle directory, byte[] name, ManifestEntry? known, CancellationToken cancellationToken)
    {
        try
        {
            using NativeFile file = directory.OpenFile(name);
            IReadOnlyList<FileExtent> extents = known?.Kind == ManifestEntryKind.File ? known.Extents : [];
            for (int attempt = 1; ; attempt++)
            {
                FileStatus before = file.GetStatus();
                if (before.Type != FileType.Regular)
                {
                    tally.Vanished(path);
                    return false;
                }

                bool isSmall = before.Size <= SmallFile;
                long length;
                if (isSmall)
                {
                    length = file.Read(_buffer.AsSpan(0, (int)before.Size), 0);
                }
                else
                {
                    (extents, length) = await ReadLargeAsync(file, before, extents, cancellationToken).ConfigureAwait(false);
                }

                options.AfterContentRead?.Invoke(path);
                SortedDictionary<string, byte[]>? attributes = ExtendedAttributes.Read(file);
                FileStatus after = file.GetStatus();
                bool isWhole = length == before.Size && after.Size == before.Size &&
                    after.Modified == before.Modified && after.Changed == before.Changed;
                if (!isWhole && attempt < options.ReadAttempts)
                {
                    tally.Verbose($"'{path}' changed while it was read, and is read again.");
                    continue;
                }

                ManifestEntry entry = new()
                {
                    Kind = ManifestEntryKind.File,
                    Path = path,
                    Size = length,
                    Mode = before.Mode,
                    Node = FileNodes.From(before, attributes, accounts, torn: !isWhole),
                };
                if (!isSmall)
                {
                    writer.Add(entry with { Extents = extents });
                }
                else
                {
                    await AddSmallAsync(entry, known, cancellationToken).ConfigureAwait(false);
                }

                tally.Read(path, length);
                if (!isWhole)
                {
                    tally.Torn(path);
                }

                return true;
            }
        }
        catch (PosixException e) when (e.IsGone)
        {
            tally.Vanished(path);
        }
        catch (PosixException e)
        {
            tally.Unreadable(path, e);
        }

        return false;
    }

    private async ValueTask AddSmallAsync(ManifestEntry entry, ManifestEntry? known, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> content = _buffer.AsMemory(0, (int)entry.Size);
        if (known is { Kind: ManifestEntryKind.File, Hash: { } hash } && known.Size == entry.Size && entry.Size > 0 &&
            Hash256.Compute(content.Span) == hash)
        {
            writer.Add(entry with { Extents = known.Extents, Hash = hash });
        }
        else
        {
            await lane.AddSmallFileAsync(entry, content, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask<(IReadOnlyList<FileExtent> Extents, long Length)> ReadLargeAsync(
        NativeFile file, FileStatus status, IReadOnlyList<FileExtent> known, CancellationToken cancellationToken)
    {
        int blockSize = BlockSize(status.Size, known);
        if (_buffer.Length < blockSize)
        {
            _buffer = new byte[blockSize];
        }

        List<FileExtent> extents = [];
        KnownBlocks blocks = new(known);
        long at = 0;
        while (at < status.Size)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (status.IsSparse)
            {
                long end = file.FindData(at) is { } data ? Math.Min(data / blockSize * blockSize, status.Size) : status.Size;
                if (end > at)
                {
                    AddZeros(extents, end - at);
                    at = end;
                    continue;
                }
            }

            int wanted = (int)Math.Min(blockSize, status.Size - at);
            Memory<byte> content = _buffer.AsMemory(0, wanted);
            int read = file.Read(content.Span, at);
            if (read == 0)
            {
                break;
            }

            content = content[..read];
            FileExtent extent = blocks.Find(at, content.Span)
                ?? await lane.WriteAsync(content, cancellationToken).ConfigureAwait(false);
            if (extent.Block is null)
            {
                AddZeros(extents, extent.Length);
            }
            else
            {
                extents.Add(extent);
            }

            at += read;
            if (read < wanted)
            {
                break;
            }
        }

        return (extents, at);
    }

    /// <summary>Blocks grow with the file. A file that grew keeps its blocks' size, so that its beginning is not stored again.</summary>
    private static int BlockSize(long size, IReadOnlyList<FileExtent> known)
    {
        foreach (FileExtent extent in known)
        {
            if (extent.Block?.Length is SmallBlock or MediumBlock or LargeBlock)
            {
                return extent.Block.Length;
            }
        }

        return size < MediumFile ? SmallBlock : size < LargeFile ? MediumBlock : LargeBlock;
    }

    private static void AddZeros(List<FileExtent> extents, long length)
    {
        if (extents.Count > 0 && extents[^1].Block is null && extents[^1].Length < LongestZeros)
        {
            int more = (int)Math.Min(length, LongestZeros - extents[^1].Length);
            extents[^1] = FileExtent.Zeros(extents[^1].Length + more);
            length -= more;
        }

        for (; length > 0; length -= Math.Min(length, LongestZeros))
        {
            extents.Add(FileExtent.Zeros((int)Math.Min(length, LongestZeros)));
        }
    }

    /// <summary>The blocks of an earlier reading of the same file, asked for from front to back.</summary>
    private struct KnownBlocks(IReadOnlyList<FileExtent> extents)
    {
        private int _index;
        private long _at;

        public FileExtent? Find(long at, ReadOnlySpan<byte> content)
        {
            while (_index < extents.Count && _at < at)
            {
                _at += extents[_index++].Length;
            }

            return _index < extents.Count && _at == at && extents[_index] is { Block: { } block, Start: 0 } extent &&
                extent.Length == content.Length && block.Matches(content)
                ? extent
                : null;
        }
    }
}
