using System.Buffers.Binary;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>The head of a WAL page (xlog_internal.h, XLogPageHeaderData and XLogLongPageHeaderData).</summary>
/// <param name="Magic">The version of the format.</param>
/// <param name="Flags">The flag bits.</param>
/// <param name="Timeline">The timeline on which the page was written.</param>
/// <param name="Address">Where the page is. A recycled segment still has its old one.</param>
/// <param name="RemainingLength">The bytes that a record from the page before still has.</param>
/// <param name="SystemId">The system identifier; in long heads only.</param>
/// <param name="SegmentSize">The segment size; in long heads only.</param>
/// <param name="BlockSize">The page size; in long heads only.</param>
public readonly record struct WalPageHeader(
    ushort Magic, ushort Flags, uint Timeline, Lsn Address, uint RemainingLength, ulong SystemId, uint SegmentSize, uint BlockSize)
{
    /// <summary>The length of a short head. Its 20 bytes are followed by 4 of padding.</summary>
    public const int ShortLength = 24;

    /// <summary>The length of a long head, with which every segment begins.</summary>
    public const int LongLength = 40;

    /// <summary>XLP_FIRST_IS_CONTRECORD.</summary>
    public const ushort FirstIsContinuation = 0x0001;

    /// <summary>XLP_LONG_HEADER.</summary>
    public const ushort IsLongFlag = 0x0002;

    /// <summary>XLP_FIRST_IS_OVERWRITE_CONTRECORD: the record that the page before left unfinished was given up after a crash.</summary>
    public const ushort FirstOverwritesContinuation = 0x0008;

    private const ushort RemovableFlag = 0x0004;
    private const ushort AllFlags = FirstIsContinuation | IsLongFlag | RemovableFlag | FirstOverwritesContinuation;

    /// <summary>Whether the head is a long one.</summary>
    public bool IsLong => (Flags & IsLongFlag) != 0;

    /// <summary>The length of the head.</summary>
    public int Length => IsLong ? LongLength : ShortLength;

    /// <summary>Whether the page begins with the rest of a record.</summary>
    public bool Continues => (Flags & FirstIsContinuation) != 0;

    /// <summary>Whether the page takes the place of the rest of a record that never came.</summary>
    public bool Overwrites => (Flags & FirstOverwritesContinuation) != 0;

    /// <summary>The major version that writes this format; null where it is not one of ours.</summary>
    public int? MajorVersion => Magic switch
    {
        0xD110 => 15,
        0xD113 => 16,
        0xD116 => 17,
        0xD118 => 18,
        _ => null,
    };

    /// <summary>Reads a head of <see cref="ShortLength"/> bytes, or <see cref="LongLength"/> where its flag says so and they are there.</summary>
    public static WalPageHeader Read(ReadOnlySpan<byte> bytes)
    {
        WalPageHeader header = new(
            BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
            new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..])),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]),
            0,
            0,
            0);
        return header.IsLong && bytes.Length >= LongLength
            ? header with
            {
                SystemId = BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]),
                SegmentSize = BinaryPrimitives.ReadUInt32LittleEndian(bytes[32..]),
                BlockSize = BinaryPrimitives.ReadUInt32LittleEndian(bytes[36..]),
            }
            : header;
    }

    /// <summary>What is wrong with the head of the page at <paramref name="address"/>, as the second half of a sentence; null where nothing is.</summary>
    public string? FindProblem(Lsn address, uint timeline, int segmentSize, ulong? systemId)
    {
        bool isFirst = address.Value % (uint)segmentSize == 0;
        if (MajorVersion is null)
        {
            return $"its page has the magic number {Magic:X4}, which is none of PostgreSQL 15 to 18";
        }

        if ((Flags & ~AllFlags) != 0 || (Continues && Overwrites))
        {
            return $"its page has the flags {Flags:X4}";
        }

        if (Address != address)
        {
            return $"its page says that it is at {Address}: an old segment that was used again";
        }

        if (Timeline == 0 || Timeline > timeline)
        {
            return $"its page is of timeline {Timeline}, and the segment of timeline {timeline}";
        }

        if (IsLong != isFirst)
        {
            return isFirst ? "the segment does not begin with a long page head" : "a long page head stands in the middle of the segment";
        }

        if (Continues == (RemainingLength == 0))
        {
            return $"its page continues a record of {RemainingLength} bytes";
        }

        if (!IsLong)
        {
            return null;
        }

        if (SegmentSize != segmentSize)
        {
            return $"its segment size is {SegmentSize} and not {segmentSize}";
        }

        if (BlockSize is < 1024 or > 65536 || (BlockSize & (BlockSize - 1)) != 0)
        {
            return $"its page size is {BlockSize}";
        }

        return systemId is { } expected && SystemId != expected
            ? $"it belongs to the database cluster {SystemId} and not to {expected}"
            : null;
    }
}
