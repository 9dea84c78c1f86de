namespace SmcDr.Core.Postgres.Wal;

/// <summary>A segment of the archive as a recovery uses it: stored whole, or in pieces up to where it goes.</summary>
public sealed record WalItem
{
    /// <summary>The name of the segment's file.</summary>
    public required WalSegmentName Name { get; init; }

    /// <summary>The cluster's segment size, which is the length of the file.</summary>
    public required int SegmentSize { get; init; }

    /// <summary>Where the segment begins.</summary>
    public required Lsn StartLsn { get; init; }

    /// <summary>Up to where its WAL goes and counts: to where the timeline was left, at most.</summary>
    public required Lsn EndLsn { get; init; }

    /// <summary>The timeline in the segment's name.</summary>
    public uint Timeline => Name.Timeline;

    /// <summary>Whether its WAL ends before the segment does.</summary>
    public bool IsPartial => Length < SegmentSize;

    /// <summary>The bytes of WAL.</summary>
    public long Length => EndLsn - StartLsn;

    /// <summary>What it takes in the repository, in bytes.</summary>
    public required long StoredBytes { get; init; }

    /// <summary>When the last of it was stored, by the store's clock.</summary>
    public required DateTimeOffset StoredTime { get; init; }

    /// <summary>The server's clock at a moment at which it had no WAL behind this.</summary>
    public DateTimeOffset? ServerTime { get; init; }

    /// <summary>Where the last record ends that is complete.</summary>
    public required Lsn LastRecordEnd { get; init; }

    /// <summary>What a recovery can stop at.</summary>
    public required WalIndex Index { get; init; }

    /// <summary>The objects that it is in, in order; they may overlap.</summary>
    internal IReadOnlyList<StoredWal> Parts { get; init; } = [];
}
