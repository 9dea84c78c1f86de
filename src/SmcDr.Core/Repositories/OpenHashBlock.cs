namespace SmcDr.Core.Repositories;

/// <summary>A hash block that is still being gathered.</summary>
internal sealed class OpenHashBlock
{
    /// <summary>Set once it is stored.</summary>
    public BlockReference? Reference { get; set; }
}
