namespace SmcDr.Core.Repositories;

/// <summary>
/// Where the hashes of a block's pages are kept, so that a later backup can tell which pages have changed without reading the block.
/// For each page of the cluster's block size, the last possibly shorter, the first <see cref="HashSize"/> bytes of its SHA-256, one
/// behind the other, in a hash block that many blocks share.
/// </summary>
public sealed class PageHashes
{
    /// <summary>The bytes of one hash: enough that no two pages of all clusters ever have the same by chance.</summary>
    public const int HashSize = 16;

    private readonly OpenHashBlock? _open;
    private readonly BlockReference? _block;

    internal PageHashes(BlockReference block, int at)
    {
        _block = block;
        At = at;
    }

    internal PageHashes(OpenHashBlock block, int at)
    {
        _open = block;
        At = at;
    }

    /// <summary>The hash block.</summary>
    public BlockReference Block =>
        _block ?? _open!.Reference ?? throw new InvalidOperationException("The hash block is still being written.");

    /// <summary>Where in the hash block's content the first page's hash is.</summary>
    public int At { get; }
}
