namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>The rows of one relation that a transaction touched.</summary>
internal sealed class RowCounts
{
    public long Inserted { get; set; }

    public long Updated { get; set; }

    public long Deleted { get; set; }

    /// <summary>The blocks into which new versions of rows were written; null where nobody wants to know.</summary>
    public BlockRanges? Blocks { get; set; }

    public void Add(RowCounts other)
    {
        if (other.Blocks is { } blocks)
        {
            (Blocks ??= new BlockRanges()).Add(blocks);
        }

        Inserted += other.Inserted;
        Updated += other.Updated;
        Deleted += other.Deleted;
    }
}
