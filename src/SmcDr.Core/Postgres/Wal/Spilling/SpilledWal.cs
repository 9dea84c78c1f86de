namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>An object of the repository that waits in a spill.</summary>
/// <param name="Number">Its place in the order in which objects were spilled.</param>
/// <param name="Wal">What it is.</param>
/// <param name="Key">Its key in the repository.</param>
/// <param name="Length">Its length as it is stored.</param>
/// <param name="Time">When it was spilled, by the clock of the host.</param>
internal sealed record SpilledWal(long Number, WalKey Wal, string Key, long Length, DateTimeOffset Time)
{
    /// <summary>Where its WAL begins; null where it is a history file.</summary>
    public Lsn? StartLsn(int segmentSize) => Wal.Segment is { } segment ? segment.StartLsn(segmentSize) + (Wal.StartOffset ?? 0) : null;
}
