using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A file whose ranges are copied by several workers, and which is done when all are, and all blocks that hold parts of it.</summary>
internal sealed class BigFile
{
    /// <summary>Zeros are joined up to this length, so that whoever clears or compares them needs no more memory than for blocks.</summary>
    private const int LongestZeros = Repository.MaximumBlockLength;

    private readonly List<Part>[] _parts;
    private int _open;
    private volatile bool _vanished;

    /// <param name="source">The file as it was listed.</param>
    /// <param name="blockSize">What one of its blocks holds.</param>
    /// <param name="ranges">In how many ranges it is copied.</param>
    /// <param name="known">What the parent knows of it.</param>
    public BigFile(SourceFile source, int blockSize, int ranges, KnownPages? known)
    {
        Source = source;
        BlockSize = blockSize;
        Known = known;
        _open = ranges;
        _parts = new List<Part>[(source.Size + blockSize - 1) / blockSize];
    }

    public SourceFile Source { get; }

    public int BlockSize { get; }

    public KnownPages? Known { get; }

    public bool IsVanished => _vanished;

    public void Vanish() => _vanished = true;

    /// <summary>Sets the parts that make up the content from a multiple of the block size on, as long as a block.</summary>
    public void Set(long offset, List<Part> parts) => _parts[offset / BlockSize] = parts;

    /// <summary>Something else must be done before the file is.</summary>
    public void Hold() => Interlocked.Increment(ref _open);

    /// <summary>Says that a range, or what <see cref="Hold"/> was called for, is done. Whether it was the last.</summary>
    public bool Release() => Interlocked.Decrement(ref _open) == 0;

    /// <summary>The content, neighbours joined.</summary>
    public IReadOnlyList<FileExtent> Extents()
    {
        List<FileExtent> result = [];
        foreach (Part part in _parts.SelectMany(static parts => parts))
        {
            FileExtent extent = part.Resolve();
            if (result.Count > 0 && result[^1] is var last && last.Block == extent.Block &&
                (extent.Block is null ? last.Length + (long)extent.Length <= LongestZeros : last.Start + last.Length == extent.Start))
            {
                result[^1] = last with { Length = last.Length + extent.Length };
            }
            else
            {
                result.Add(extent);
            }
        }

        return result;
    }

    /// <summary>A part of the content, in a block that may not be stored yet.</summary>
    internal readonly record struct Part(PageBlock? Open, FileExtent Extent)
    {
        public FileExtent Resolve() => Open is null ? Extent : Extent with { Block = Open.Block };
    }
}
