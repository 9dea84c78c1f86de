namespace SmcDr;

/// <summary>A run of WAL segments that are in the archive, or are not, for the same reason.</summary>
public sealed record WalState
{
    /// <summary>
    /// <c>FOUND</c>: there, as far as it is needed. <c>UPLOADING</c>: its beginning is there, without a hole, and it is the newest: it grows.
    /// <c>DELAYED</c>: not there, nothing behind it is either, and what is before it is young: it should come. <c>LOST</c>: not there, with
    /// WAL behind it, or overdue.
    /// </summary>
    public required string State { get; init; }

    /// <summary>The first segment.</summary>
    public required string FirstSegment { get; init; }

    /// <summary>The last segment.</summary>
    public required string LastSegment { get; init; }

    /// <summary>Where it begins.</summary>
    public required string StartLsn { get; init; }

    /// <summary>Where it ends.</summary>
    public required string EndLsn { get; init; }

    /// <summary>The number of segments.</summary>
    public required int SegmentCount { get; init; }

    /// <inheritdoc/>
    public override string ToString() => SegmentCount == 1 ? $"{State} {FirstSegment}" : $"{State} {FirstSegment} to {LastSegment}";
}
