namespace SmcDr.Core.Postgres.Wal;

/// <summary>A record that is complete and whose checksum fits. Its body is valid only while it is handled.</summary>
internal readonly ref struct WalRecord(
    byte manager, byte info, uint xid, Lsn startLsn, Lsn endLsn, int majorVersion, ReadOnlySpan<byte> body)
{
    /// <summary>The resource manager (rmgrlist.h).</summary>
    public byte Manager { get; } = manager;

    /// <summary>The info byte: what the resource manager makes of it is in its upper half.</summary>
    public byte Info { get; } = info;

    /// <summary>The transaction or subtransaction that wrote it; 0 where there is none.</summary>
    public uint Xid { get; } = xid;

    public Lsn StartLsn { get; } = startLsn;

    public Lsn EndLsn { get; } = endLsn;

    /// <summary>PostgreSQL's major version.</summary>
    public int MajorVersion { get; } = majorVersion;

    /// <summary>What stands behind the head of the record, without the heads of the pages that it spans.</summary>
    public ReadOnlySpan<byte> Body { get; } = body;
}
