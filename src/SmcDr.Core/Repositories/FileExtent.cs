namespace SmcDr.Core.Repositories;

/// <summary>A run of a file: a part of a block, or zeros that are not stored at all.</summary>
/// <param name="Block">The block; null for zeros.</param>
/// <param name="Start">The first byte within the block's content.</param>
/// <param name="Length">How many bytes.</param>
public readonly record struct FileExtent(BlockReference? Block, int Start, int Length)
{
    /// <summary>The whole of a block.</summary>
    public static FileExtent Whole(BlockReference block)
    {
        ArgumentNullException.ThrowIfNull(block);
        return new(block, 0, block.Length);
    }

    /// <summary>A run of zeros.</summary>
    public static FileExtent Zeros(int length) => new(null, 0, length);
}
