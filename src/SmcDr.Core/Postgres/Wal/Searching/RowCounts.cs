namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>The rows of one relation that a transaction touched.</summary>
internal sealed class RowCounts
{
    public long Inserted { get; set; }

    public long Updated { get; set; }

    public long Deleted { get; set; }

    public void Add(RowCounts other)
    {
        Inserted += other.Inserted;
        Updated += other.Updated;
        Deleted += other.Deleted;
    }
}
