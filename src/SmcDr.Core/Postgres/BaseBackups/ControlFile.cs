using System.Buffers.Binary;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// PostgreSQL's control file, <c>global/pg_control</c>: what a cluster is and how far it was. Read for the control file versions
/// 1300 (PostgreSQL 13 to 16), 1700 and 1800, whose fields up to the checksum version lie at the same places on every 64-bit
/// little-endian machine (struct ControlFileData in catalog/pg_control.h).
/// </summary>
public sealed record ControlFile
{
    /// <summary>Where the file lies below a data directory, as paths in manifests are written.</summary>
    public const string RelativePath = "global/pg_control";

    /// <summary>The length of the file (PG_CONTROL_FILE_SIZE); most of it is zeros.</summary>
    public const int FileSize = 8192;

    private const int CheckpointOffset = 32;
    private const int CrcOffset = 288;

    /// <summary>
    /// PostgreSQL 18 put one byte (default_char_signedness) before the 32 random bytes that precede the checksum.
    /// </summary>
    private const int CrcOffset18 = 292;

    /// <summary>
    /// A place that no WAL ever has, the first segment being left out by initdb, and that still is a possible place of a record,
    /// which StartupXLOG checks before it looks at backup_label.
    /// </summary>
    private const ulong ImpossibleCheckpoint = 0xDEAD;

    private ControlFile()
    {
    }

    /// <summary>The cluster's system identifier.</summary>
    public required ulong SystemId { get; init; }

    /// <summary>The version of the file's format: 1300, 1700 or 1800.</summary>
    public required int FormatVersion { get; init; }

    /// <summary>The version of the system catalogs, which with the major version names a tablespace's directory.</summary>
    public required int CatalogVersion { get; init; }

    public required DatabaseState State { get; init; }

    /// <summary>When the file was last written.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Where the latest checkpoint's record is.</summary>
    public required Lsn CheckpointLsn { get; init; }

    /// <summary>From where the latest checkpoint replays.</summary>
    public required Lsn RedoLsn { get; init; }

    /// <summary>The timeline of the latest checkpoint.</summary>
    public required uint Timeline { get; init; }

    /// <summary>The timeline before it, where the checkpoint's record began a new one; else the same.</summary>
    public required uint PreviousTimeline { get; init; }

    /// <summary>When the latest checkpoint was.</summary>
    public required DateTimeOffset CheckpointTime { get; init; }

    /// <summary>The next transaction id, with its epoch.</summary>
    public required ulong NextTransactionId { get; init; }

    /// <summary>Up to where recovery must replay before the cluster is consistent; zero outside of recovery.</summary>
    public required Lsn MinimumRecoveryLsn { get; init; }

    /// <summary>The timeline of <see cref="MinimumRecoveryLsn"/>.</summary>
    public required uint MinimumRecoveryTimeline { get; init; }

    /// <summary>The start of the base backup that is being recovered from; zero once its end was seen.</summary>
    public required Lsn BackupStartLsn { get; init; }

    /// <summary>The end of a base backup that was taken from a standby.</summary>
    public required Lsn BackupEndLsn { get; init; }

    /// <summary>Whether recovery must see the record with which a backup ends.</summary>
    public required bool BackupEndRequired { get; init; }

    /// <summary>0 minimal, 1 replica, 2 logical.</summary>
    public required int WalLevel { get; init; }

    /// <summary>Whether changes of hint bits are in the WAL; without them and without checksums nobody knows which pages have changed.</summary>
    public required bool WalLogHints { get; init; }

    public required int MaxConnections { get; init; }

    public required int MaxWorkerProcesses { get; init; }

    public required int MaxWalSenders { get; init; }

    public required int MaxPreparedTransactions { get; init; }

    public required int MaxLocksPerTransaction { get; init; }

    public required int BlockSize { get; init; }

    /// <summary>Blocks in one file of a relation.</summary>
    public required int RelationSegmentBlocks { get; init; }

    public required int WalBlockSize { get; init; }

    public required int WalSegmentSize { get; init; }

    /// <summary>0 where pages have no checksums.</summary>
    public required int ChecksumVersion { get; init; }

    /// <summary>Reads the control file of a data directory.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/> where there is none, or what <see cref="Parse"/> throws.</exception>
    public static async Task<ControlFile> ReadAsync(string dataDirectory, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(dataDirectory);
        string path = Path.Combine(dataDirectory, "global", "pg_control");
        byte[] content;
        try
        {
            content = await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"'{dataDirectory}' is not a complete data directory: it holds no control file.",
                e,
                target: dataDirectory);
        }

        return Parse(content, path);
    }

    /// <summary>Reads a control file and checks its CRC-32C.</summary>
    /// <param name="content">The file's bytes.</param>
    /// <param name="name">How messages call it.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.ChecksumMismatch"/> where it is damaged or was being written, <see cref="SmcErrorCode.VersionUnsupported"/>.
    /// </exception>
    public static ControlFile Parse(ReadOnlySpan<byte> content, string name = RelativePath)
    {
        int format = content.Length >= CrcOffset18 + sizeof(uint) ? Int32(content, 8) : 0;
        int crcOffset = CrcOffsetOf(format, name);
        if (Crc32C.Compute(content[..crcOffset]) != BinaryPrimitives.ReadUInt32LittleEndian(content[crcOffset..]))
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch, $"The control file '{name}' does not match its checksum.", target: name);
        }

        return new ControlFile
        {
            SystemId = UInt64(content, 0),
            FormatVersion = format,
            CatalogVersion = Int32(content, 12),
            State = (DatabaseState)Int32(content, 16),
            Time = Time64(content, 24),
            CheckpointLsn = new Lsn(UInt64(content, CheckpointOffset)),
            RedoLsn = new Lsn(UInt64(content, 40)),
            Timeline = UInt32(content, 48),
            PreviousTimeline = UInt32(content, 52),
            NextTransactionId = UInt64(content, 64),
            CheckpointTime = Time64(content, 104),
            MinimumRecoveryLsn = new Lsn(UInt64(content, 136)),
            MinimumRecoveryTimeline = UInt32(content, 144),
            BackupStartLsn = new Lsn(UInt64(content, 152)),
            BackupEndLsn = new Lsn(UInt64(content, 160)),
            BackupEndRequired = content[168] != 0,
            WalLevel = Int32(content, 172),
            WalLogHints = content[176] != 0,
            MaxConnections = Int32(content, 180),
            MaxWorkerProcesses = Int32(content, 184),
            MaxWalSenders = Int32(content, 188),
            MaxPreparedTransactions = Int32(content, 192),
            MaxLocksPerTransaction = Int32(content, 196),
            BlockSize = Int32(content, 216),
            RelationSegmentBlocks = Int32(content, 220),
            WalBlockSize = Int32(content, 224),
            WalSegmentSize = Int32(content, 228),
            ChecksumVersion = Int32(content, 252),
        };
    }

    /// <summary>
    /// Makes a backup's control file unusable without <c>backup_label</c>. With it, PostgreSQL takes the checkpoint from there and
    /// never looks at this one; without it, the server would start from whatever checkpoint was the latest when the file was
    /// copied and corrupt its data silently. Now it says "could not locate a valid checkpoint record" and stops.
    /// </summary>
    internal static void InvalidateCheckpoint(Span<byte> content)
    {
        int crcOffset = CrcOffsetOf(Int32(content, 8), RelativePath);
        BinaryPrimitives.WriteUInt64LittleEndian(content[CheckpointOffset..], ImpossibleCheckpoint);
        BinaryPrimitives.WriteUInt32LittleEndian(content[crcOffset..], Crc32C.Compute(content[..crcOffset]));
    }

    private static int CrcOffsetOf(int format, string name) => format switch
    {
        1300 or 1700 => CrcOffset,
        1800 => CrcOffset18,
        _ => throw new SmcException(
            SmcErrorCode.VersionUnsupported,
            $"The control file '{name}' has the format {format}, which this version does not know.",
            target: name),
    };

    private static DateTimeOffset Time64(ReadOnlySpan<byte> content, int offset) =>
        DateTimeOffset.FromUnixTimeSeconds(BinaryPrimitives.ReadInt64LittleEndian(content[offset..]));

    private static ulong UInt64(ReadOnlySpan<byte> content, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(content[offset..]);

    private static uint UInt32(ReadOnlySpan<byte> content, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(content[offset..]);

    private static int Int32(ReadOnlySpan<byte> content, int offset) => BinaryPrimitives.ReadInt32LittleEndian(content[offset..]);
}
