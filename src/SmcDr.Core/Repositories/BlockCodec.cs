namespace SmcDr.Core.Repositories;

/// <summary>How bytes are compressed. Recorded with every block, so that a repository can hold several.</summary>
public enum BlockCodec
{
    /// <summary>Stored as they are.</summary>
    None,

    /// <summary>One Zstandard frame (RFC 8878).</summary>
    Zstd,

    /// <summary>One gzip member (RFC 1952), where no libzstd could be loaded.</summary>
    Gzip,
}
