using System.Buffers;

namespace SmcDr.Core.Repositories;

/// <summary>
/// One worker's way into a backup: blocks that it writes go into packs of its own, so that workers never wait for each other.
/// Not safe for concurrent use.
/// </summary>
public sealed class PackLane : IAsyncDisposable
{
    // Files of a few bytes each would otherwise fill the memory before they fill a block.
    private const int MaximumWaiting = 8192;

    /// <summary>
    /// The hashes of 16384 pages, 128 MiB of usual ones: so few hash blocks that they do not show in a manifest, and so small that a
    /// later backup can hold some of them.
    /// </summary>
    private const int HashBlockSize = (16 << 10) * PageHashes.EntrySize;

    private readonly BackupWriter _writer;
    private readonly BackupWriterOptions _options;
    private readonly List<(ManifestEntry Entry, int Start)> _waiting = [];
    private byte[]? _compressed;
    private byte[]? _shared;
    private int _sharedLength;
    private byte[]? _hashes;
    private int _hashesLength;
    private Hash256[] _digests = [];
    private OpenHashBlock _hashBlock = new();
    private OpenPack? _pack;
    private Task _committing = Task.CompletedTask;

    internal PackLane(BackupWriter writer, BackupWriterOptions options)
    {
        _writer = writer;
        _options = options;
    }

    /// <summary>Stores a block and says where it went. Zeros are not stored.</summary>
    public async ValueTask<FileExtent> WriteAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (content.IsEmpty)
        {
            throw new ArgumentException("A block has at least one byte.", nameof(content));
        }

        return content.Span.ContainsAnyExcept((byte)0)
            ? FileExtent.Whole(await StoreAsync(content, Hash256.Compute(content.Span), null, cancellationToken).ConfigureAwait(false))
            : FileExtent.Zeros(content.Length);
    }

    /// <summary>Stores a block that consists of pages, and what a later backup compares pages with.</summary>
    /// <param name="content">Whole pages; the last may be shorter where it is the file's last.</param>
    /// <param name="pageSize">The size of a page.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async ValueTask<FileExtent> WritePagesAsync(ReadOnlyMemory<byte> content, int pageSize, CancellationToken cancellationToken)
    {
        if (!content.Span.ContainsAnyExcept((byte)0))
        {
            return FileExtent.Zeros(content.Length);
        }

        int count = PageDigests.CountOf(content.Length, pageSize);
        if (_digests.Length < count)
        {
            _digests = new Hash256[count];
        }

        PageDigests.ComputePages(content.Span, pageSize, _digests);
        BlockReference block = await StoreAsync(content, PageDigests.Combine(_digests.AsSpan(0, count)), pageSize, cancellationToken)
            .ConfigureAwait(false);
        if (_hashesLength + (count * PageHashes.EntrySize) > HashBlockSize)
        {
            await FlushHashesAsync(cancellationToken).ConfigureAwait(false);
        }

        _hashes ??= new byte[HashBlockSize];
        block.PageHashes = new PageHashes(_hashBlock, _hashesLength);
        for (int page = 0; page < count; page++)
        {
            Span<byte> entry = _hashes.AsSpan(_hashesLength, PageHashes.EntrySize);
            entry.Clear();
            _digests[page].CopyTo(entry, PageHashes.HashSize);
            ReadOnlySpan<byte> head = content.Span[(page * pageSize)..];
            head[..Math.Min(head.Length, PageHashes.HeadSize)].CopyTo(entry[PageHashes.HashSize..]);
            _hashesLength += PageHashes.EntrySize;
        }

        return FileExtent.Whole(block);
    }

    /// <summary>
    /// Adds a whole small file. It shares a block with its neighbours, so that millions of small files cost few objects and
    /// compress together.
    /// </summary>
    public async ValueTask AddSmallFileAsync(
        ManifestEntry entry, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (content.IsEmpty)
        {
            _writer.Add(entry with { Size = 0 });
            return;
        }

        if (content.Length >= _options.SharedBlockSize)
        {
            FileExtent extent = await WriteAsync(content, cancellationToken).ConfigureAwait(false);
            _writer.Add(entry with { Size = content.Length, Extents = [extent] });
            return;
        }

        if (_sharedLength + content.Length > _options.SharedBlockSize || _waiting.Count >= MaximumWaiting)
        {
            await FlushSharedAsync(cancellationToken).ConfigureAwait(false);
        }

        _shared ??= new byte[_options.SharedBlockSize];
        content.CopyTo(_shared.AsMemory(_sharedLength));
        _waiting.Add((entry with { Size = content.Length, Hash = Hash256.Compute(content.Span) }, _sharedLength));
        _sharedLength += content.Length;
    }

    /// <summary>Writes what is still in memory and makes it durable. The last call on a lane.</summary>
    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        await FlushSharedAsync(cancellationToken).ConfigureAwait(false);
        await FlushHashesAsync(cancellationToken).ConfigureAwait(false);
        await ClosePackAsync(cancellationToken).ConfigureAwait(false);
        await _committing.ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_compressed is not null)
        {
            ArrayPool<byte>.Shared.Return(_compressed);
            _compressed = null;
        }

        // The failure itself has been, or is being, thrown to whoever finishes or cancels the backup.
        await _committing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_pack is not null)
        {
            await _pack.DisposeAsync().ConfigureAwait(false);
            _pack = null;
        }
    }

    private async ValueTask FlushHashesAsync(CancellationToken cancellationToken)
    {
        if (_hashesLength > 0)
        {
            ReadOnlyMemory<byte> hashes = _hashes.AsMemory(0, _hashesLength);
            _hashBlock.Reference = await StoreAsync(hashes, Hash256.Compute(hashes.Span), null, cancellationToken).ConfigureAwait(false);
            _hashBlock = new OpenHashBlock();
            _hashesLength = 0;
        }
    }

    private async ValueTask FlushSharedAsync(CancellationToken cancellationToken)
    {
        if (_sharedLength == 0)
        {
            return;
        }

        FileExtent block = await WriteAsync(_shared.AsMemory(0, _sharedLength), cancellationToken).ConfigureAwait(false);
        foreach ((ManifestEntry entry, int start) in _waiting)
        {
            _writer.Add(entry with { Extents = [new FileExtent(block.Block, block.Block is null ? 0 : start, (int)entry.Size)] });
        }

        _waiting.Clear();
        _sharedLength = 0;
    }

    private async ValueTask<BlockReference> StoreAsync(
        ReadOnlyMemory<byte> content, Hash256 hash, int? pageSize, CancellationToken cancellationToken)
    {
        int bound = BlockCodecs.Bound(content.Length);
        if (_compressed is null || _compressed.Length < bound)
        {
            if (_compressed is not null)
            {
                ArrayPool<byte>.Shared.Return(_compressed);
            }

            _compressed = ArrayPool<byte>.Shared.Rent(bound);
        }

        BlockCodec codec = _options.Codec ?? BlockCodecs.Default;
        int length = BlockCodecs.Compress(codec, content.Span, _compressed, _options.CompressionLevel);
        ReadOnlyMemory<byte> stored = length > 0 ? _compressed.AsMemory(0, length) : content;
        if (length == 0)
        {
            codec = BlockCodec.None;
        }

        _pack ??= await _writer.OpenPackAsync(cancellationToken).ConfigureAwait(false);
        OpenPack pack = _pack;
        long offset = await pack.AppendAsync(stored, cancellationToken).ConfigureAwait(false);
        _writer.CountStored(stored.Length);
        BlockReference block = new(pack, offset, stored.Length, content.Length, codec, Crc32C.Compute(stored.Span), hash)
        {
            PageSize = pageSize,
        };
        if (pack.Length >= _options.PackSize)
        {
            await ClosePackAsync(cancellationToken).ConfigureAwait(false);
        }

        return block;
    }

    /// <summary>Makes the pack durable beside the work on the next one; at most one is on its way, so memory stays bounded.</summary>
    private async ValueTask ClosePackAsync(CancellationToken cancellationToken)
    {
        await _committing.ConfigureAwait(false);
        if (_pack is not null)
        {
            OpenPack pack = _pack;
            _pack = null;
            _committing = CommitAsync(pack, cancellationToken);
        }
    }

    private static async Task CommitAsync(OpenPack pack, CancellationToken cancellationToken)
    {
        await using (pack.ConfigureAwait(false))
        {
            await pack.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
