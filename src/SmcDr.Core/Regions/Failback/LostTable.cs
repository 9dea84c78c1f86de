using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Searching;

namespace SmcDr.Core.Regions.Failback;

/// <summary>What lost transactions did to one table, as the WAL tells it: by its file, which is not the table itself.</summary>
/// <param name="file">The file.</param>
internal sealed class LostTable(RelationFile file)
{
    public RelationFile File => file;

    /// <summary>The table's id, where the WAL tells it.</summary>
    public uint? Oid { get; set; }

    /// <summary>The transactions, with their subtransactions: a row's <c>xmin</c> may be either.</summary>
    public HashSet<uint> Xids { get; } = [];

    /// <summary>Where their rows are.</summary>
    public BlockRanges Blocks { get; } = new();

    public RowCounts Rows { get; } = new();

    /// <summary>Takes transactions whose rows may be anywhere in it.</summary>
    public void Add(LostTable other)
    {
        Xids.UnionWith(other.Xids);
        Blocks.Add(other.Blocks);
    }
}
