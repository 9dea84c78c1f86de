using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Gathers changed pages of many places into blocks, since a page alone compresses badly and needs a line in the manifest. One for each
/// worker; not safe for concurrent use.
/// </summary>
/// <param name="lane">Where the blocks go.</param>
/// <param name="pageSize">The size of a page.</param>
/// <param name="done">Is called for each file that has waited for a block and for nothing else.</param>
internal sealed class PageGatherer(PackLane lane, int pageSize, Action<BigFile> done)
{
    private const int Size = 1 << 20;

    private readonly byte[] _content = new byte[Size];
    private int _length;
    private PageBlock _block = new();

    /// <summary>Adds a page of a file.</summary>
    public async ValueTask<BigFile.Part> AddAsync(BigFile file, ReadOnlyMemory<byte> page, CancellationToken cancellationToken)
    {
        if (page.Length < pageSize || !page.Span.ContainsAnyExcept((byte)0))
        {
            // A file's last page that is none has a block of its own, so that in shared ones pages begin at multiples of their size.
            return new BigFile.Part(null, await lane.WritePagesAsync(page, pageSize, cancellationToken).ConfigureAwait(false));
        }

        if (_length + pageSize > Size)
        {
            await FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        if (_block.Files.Add(file))
        {
            file.Hold();
        }

        page.CopyTo(_content.AsMemory(_length));
        BigFile.Part part = new(_block, new FileExtent(null, _length, pageSize));
        _length += pageSize;
        return part;
    }

    /// <summary>Stores what is left.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (_length == 0)
        {
            return;
        }

        PageBlock block = _block;
        FileExtent extent = await lane.WritePagesAsync(_content.AsMemory(0, _length), pageSize, cancellationToken).ConfigureAwait(false);
        block.Block = extent.Block;
        _block = new PageBlock();
        _length = 0;
        foreach (BigFile file in block.Files)
        {
            if (file.Release())
            {
                done(file);
            }
        }
    }
}
