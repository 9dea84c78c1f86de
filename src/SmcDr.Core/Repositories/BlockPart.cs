namespace SmcDr.Core.Repositories;

/// <summary>The beginning of a block, for who needs little of it.</summary>
/// <param name="length">Where the last byte that is needed ends.</param>
/// <param name="matches">
/// Whether what is needed is right. The block's own digest is of the whole and cannot tell, so this goes by digests of parts.
/// </param>
internal sealed class BlockPart(int length, Func<ReadOnlySpan<byte>, bool> matches)
{
    public int Length => length;

    public bool Matches(ReadOnlySpan<byte> content) => matches(content);
}
