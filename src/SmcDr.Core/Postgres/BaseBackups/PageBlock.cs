using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A block of pages of several files that is still being gathered.</summary>
internal sealed class PageBlock
{
    /// <summary>Set once it is stored.</summary>
    public BlockReference? Block { get; set; }

    /// <summary>The files that wait for it.</summary>
    public HashSet<BigFile> Files { get; } = [];
}
