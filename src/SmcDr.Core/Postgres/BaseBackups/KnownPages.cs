using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What the parent knows of the pages of one file: where each is stored, and its hash.</summary>
internal sealed class KnownPages
{
    private readonly IReadOnlyList<FileExtent> _extents;
    private readonly long[] _starts;
    private readonly long _size;
    private readonly IReadOnlySet<long> _damaged;

    /// <param name="entry">The parent's entry of the file.</param>
    /// <param name="damaged">Pages that were damaged when the parent was taken. They count as unknown, so that they are looked at again.</param>
    public KnownPages(ManifestEntry entry, IReadOnlySet<long> damaged)
    {
        _extents = entry.Extents;
        _size = entry.Size;
        _damaged = damaged;
        _starts = new long[_extents.Count];
        long at = 0;
        for (int i = 0; i < _starts.Length; i++)
        {
            _starts[i] = at;
            at += _extents[i].Length;
        }
    }

    /// <summary>
    /// The known pages of a range, their hashes and their heads. A page that is not known, since the parent had none there, or none of the same length, or
    /// no hash of it, has an extent without length, and a hash that no page has.
    /// </summary>
    public async ValueTask<(FileExtent[] Pages, byte[] Hashes, byte[] Heads)> FindAsync(
        long offset, int length, int pageSize, PageHashCache cache, CancellationToken cancellationToken)
    {
        FileExtent[] pages = new FileExtent[(length + pageSize - 1) / pageSize];
        byte[] hashes = new byte[pages.Length * PageHashes.HashSize];
        byte[] heads = new byte[pages.Length * PageHashes.HeadSize];
        PageHashes? places = null;
        byte[] entries = [];
        int index = Array.BinarySearch(_starts, offset);
        index = Math.Max(0, index < 0 ? ~index - 1 : index);
        for (int i = 0; i < pages.Length; i++)
        {
            long at = offset + ((long)i * pageSize);
            int pageLength = (int)Math.Min(pageSize, offset + length - at);
            while (index < _starts.Length && _starts[index] + _extents[index].Length <= at)
            {
                index++;
            }

            if (index == _starts.Length || at + pageLength > _size)
            {
                break;
            }

            FileExtent extent = _extents[index];
            int within = (int)(at - _starts[index]);
            if (within < 0 || within + pageLength > extent.Length || _damaged.Contains(at / pageSize))
            {
                continue;
            }

            Memory<byte> hash = hashes.AsMemory(i * PageHashes.HashSize, PageHashes.HashSize);
            if (extent.Block is not { } block)
            {
                pages[i] = FileExtent.Zeros(pageLength);
                cache.HashOfZeros(pageLength).CopyTo(hash.Span);
                continue;
            }

            int start = extent.Start + within;
            bool isPage = start % pageSize == 0 && (pageLength == pageSize || start + pageLength == block.Length);
            if (!isPage || block.PageHashes is null)
            {
                continue;
            }

            if (places != block.PageHashes)
            {
                places = block.PageHashes;
                entries = await cache.ReadAsync(places.Block, cancellationToken).ConfigureAwait(false);
            }

            long entry = places.At + ((long)(start / pageSize) * PageHashes.EntrySize);
            if (entry + PageHashes.EntrySize <= entries.Length)
            {
                ReadOnlySpan<byte> content = entries.AsSpan((int)entry, PageHashes.EntrySize);
                content[..PageHashes.HashSize].CopyTo(hash.Span);
                content[PageHashes.HashSize..].CopyTo(heads.AsSpan(i * PageHashes.HeadSize));
                pages[i] = new FileExtent(block, start, pageLength);
            }
        }

        return (pages, hashes, heads);
    }
}
