namespace SmcDr.Core.Repositories;

/// <summary>How a backup is written.</summary>
public sealed record BackupWriterOptions
{
    /// <summary>
    /// The id of the backup whose blocks are used again. It stands in the claim, so that whoever removes backups sees that its packs are
    /// needed before this backup has a manifest that says so.
    /// </summary>
    public string? Parent { get; init; }

    /// <summary>A pack is closed once it is so long. Larger packs make fewer objects; smaller ones let expiry free more.</summary>
    public long PackSize { get; init; } = 64 << 20;

    /// <summary>How compression is done; null for the best that this machine has.</summary>
    public BlockCodec? Codec { get; init; }

    /// <summary>The level given to Zstandard. Level 1 keeps up with a disk; higher ones trade time for little space.</summary>
    public int CompressionLevel { get; init; } = 1;

    /// <summary>Small files share blocks of about this size.</summary>
    public int SharedBlockSize { get; init; } = 1 << 20;

    /// <summary>So many entries of the manifest are kept in memory; more go through temporary files.</summary>
    public int EntriesInMemory { get; init; } = 1 << 15;

    /// <summary>What ids and the times of backups are taken from.</summary>
    internal TimeProvider Time { get; init; } = TimeProvider.System;
}
