using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Follows the records of a WAL stream: takes its bytes in order and in pieces of any size, checks every page head and every
/// record's checksum and chaining, and reports what a recovery can stop at.
/// </summary>
/// <remarks>
/// The format is that of xlogrecord.h and xlog_internal.h of PostgreSQL 15 to 18, on little-endian machines. A record begins on a
/// multiple of eight bytes and goes on behind the head of the next page. Where a scan begins in the middle of a record, that record is
/// skipped unchecked, and <see cref="IsSynchronized"/> tells when the first whole one was met.
/// </remarks>
public sealed class WalRecordScanner
{
    private const int RecordHeaderLength = 24;

    /// <summary>XLogRecordMaxSize is 1020 MiB (xlogrecord.h).</summary>
    private const uint MaximumRecordLength = 1020 << 20;

    private const int MinimumPageSize = 1024;
    private const byte ResourceManagerXlog = 0;
    private const byte ResourceManagerTransaction = 1;
    private const byte XlogSwitch = 0x40;
    private const byte XlogRestorePoint = 0x70;
    private const byte XlogOverwriteContinuation = 0xD0;

    private readonly int _segmentSize;
    private readonly uint _timeline;
    private readonly ulong? _systemId;
    private readonly byte[] _head = new byte[WalPageHeader.LongLength];
    private readonly ArrayBufferWriter<byte> _body = new();
    private int _headLength;
    private uint _pageSize = MinimumPageSize;
    private ushort _magic;
    private uint _pageTimeline;
    private State _state = State.Skip;
    private ulong _skip;
    private bool _mustOverwrite;

    private readonly byte[] _record = new byte[RecordHeaderLength];
    private int _recordLength;
    private uint _total;
    private uint _got;
    private uint _crc;
    private bool _keep;
    private bool _isSelected;
    private Lsn _recordStart;
    private Lsn? _previous;

    /// <summary>Creates a scanner.</summary>
    /// <param name="start">Where its first byte is: the beginning of a segment.</param>
    /// <param name="timeline">The timeline that the segments are named after; pages may be of an older one.</param>
    /// <param name="segmentSize">The segment size.</param>
    /// <param name="systemId">The system identifier that every segment must have.</param>
    public WalRecordScanner(Lsn start, uint timeline, int segmentSize, ulong? systemId)
    {
        if (!WalSegmentName.IsSegmentSize(segmentSize) || start.Value % (uint)segmentSize != 0)
        {
            throw new ArgumentException($"{start} is not the beginning of a segment of {segmentSize} bytes.", nameof(start));
        }

        Position = start;
        LastRecordEnd = start;
        _timeline = timeline;
        _segmentSize = segmentSize;
        _systemId = systemId;
    }

    private enum State
    {
        /// <summary>In the rest of a record whose beginning was not seen; how long it is, the next page head says.</summary>
        Skip,

        /// <summary>Where a record begins, once the position is a multiple of eight.</summary>
        Between,

        /// <summary>In the head of a record.</summary>
        Header,

        /// <summary>In the rest of a record.</summary>
        Body,

        /// <summary>Behind a switch record: nothing more comes in this segment.</summary>
        Switched,
    }

    /// <summary>Called for each end of a transaction, in the order of the WAL.</summary>
    public Action<WalTransaction>? OnTransaction { get; init; }

    /// <summary>Called for each restore point, in the order of the WAL.</summary>
    public Action<WalRestorePoint>? OnRestorePoint { get; init; }

    /// <summary>
    /// Whether <see cref="OnRecord"/> wants a record of this resource manager with this info byte. Only bodies that somebody wants are put
    /// together, so that a stream pays nothing for it.
    /// </summary>
    internal Func<byte, byte, bool>? SelectsRecord { get; init; }

    /// <summary>Called for each selected record, in the order of the WAL, before its transaction is reported.</summary>
    internal WalRecordHandler? OnRecord { get; init; }

    /// <summary>Where the next byte belongs.</summary>
    public Lsn Position { get; private set; }

    /// <summary>Where the last record ended that was complete; before one was, where the scan began.</summary>
    public Lsn LastRecordEnd { get; private set; }

    /// <summary>Whether the beginning of a record was met.</summary>
    public bool IsSynchronized => _state != State.Skip;

    /// <summary>Whether a record has begun that is not complete.</summary>
    public bool IsInsideRecord => _state is State.Header or State.Body;

    /// <summary>The system identifier that the last segment begins with.</summary>
    public ulong? SystemId { get; private set; }

    /// <summary>PostgreSQL's major version by the format of the pages.</summary>
    public int? MajorVersion { get; private set; }

    /// <summary>Takes the bytes at <see cref="Position"/>.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WalInvalid"/>: they are no valid WAL.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int taken;
            if (_state == State.Switched)
            {
                taken = Take(bytes, (ulong)_segmentSize - SegmentOffset);
                Advance(taken);
                if (SegmentOffset == 0)
                {
                    _state = State.Between;
                }
            }
            else if (PageOffset < (uint)WalPageHeader.ShortLength || _headLength > 0)
            {
                taken = TakePageHead(bytes);
            }
            else
            {
                taken = TakePageBody(bytes[..Take(bytes, _pageSize - PageOffset)]);
            }

            bytes = bytes[taken..];
        }
    }

    private ulong SegmentOffset => Position.Value & ((uint)_segmentSize - 1);

    // Until the first long head has told the page size, the position is at the beginning of a segment and any size fits.
    private ulong PageOffset => Position.Value & (_pageSize - 1);

    private static int Take(ReadOnlySpan<byte> bytes, ulong limit) => (int)Math.Min((ulong)bytes.Length, limit);

    private void Advance(int count) => Position += (ulong)count;

    private int TakePageHead(ReadOnlySpan<byte> bytes)
    {
        int wanted = SegmentOffset - (uint)_headLength == 0 ? WalPageHeader.LongLength : WalPageHeader.ShortLength;
        int taken = Math.Min(bytes.Length, wanted - _headLength);
        bytes[..taken].CopyTo(_head.AsSpan(_headLength));
        _headLength += taken;
        Lsn page = new(Position.Value + (ulong)taken - (ulong)_headLength);
        Advance(taken);
        if (_headLength < wanted)
        {
            return taken;
        }

        _headLength = 0;
        WalPageHeader header = WalPageHeader.Read(_head.AsSpan(0, wanted));
        if (header.FindProblem(page, _timeline, _segmentSize, _systemId) is { } problem)
        {
            throw Invalid(page, problem);
        }

        if (_magic != 0 && header.Magic != _magic)
        {
            throw Invalid(page, $"its page has the magic number {header.Magic:X4} and the one before {_magic:X4}");
        }

        if (header.Timeline < _pageTimeline)
        {
            throw Invalid(page, $"its page is of timeline {header.Timeline} and the one before of {_pageTimeline}");
        }

        _magic = header.Magic;
        _pageTimeline = header.Timeline;
        MajorVersion = header.MajorVersion;
        if (header.IsLong)
        {
            SystemId = header.SystemId;
            _pageSize = header.BlockSize;
        }

        BeginPage(page, header);
        return taken;
    }

    private void BeginPage(Lsn page, WalPageHeader header)
    {
        if (header.Overwrites)
        {
            // The server crashed before it had written the rest of the record, and starts anew here
            // (xlog.c, CreateOverwriteContrecordRecord). The next record's chain goes around the one that was given up.
            if (_state == State.Between)
            {
                throw Invalid(page, "its page gives up a record, and none was unfinished");
            }

            _state = State.Between;
            _mustOverwrite = true;
            return;
        }

        switch (_state)
        {
            case State.Skip when header.Continues:
                // Behind the rest come the bytes up to the next multiple of eight.
                _skip = Align(header.RemainingLength);
                break;
            case State.Skip:
                _state = State.Between;
                break;
            case State.Between when header.Continues:
                throw Invalid(page, $"its page continues a record of {header.RemainingLength} bytes, and none was unfinished");
            case State.Header or State.Body when !header.Continues || header.RemainingLength != _total - _got:
                throw Invalid(
                    page,
                    $"its page should continue the record at {_recordStart} with {_total - _got} bytes and says {header.RemainingLength}");
        }
    }

    private int TakePageBody(ReadOnlySpan<byte> bytes)
    {
        switch (_state)
        {
            case State.Skip:
                int skipped = Take(bytes, _skip);
                _skip -= (ulong)skipped;
                Advance(skipped);
                // A rest that fills the page exactly may go on: only the next page's head tells.
                if (_skip == 0 && PageOffset != 0)
                {
                    _state = State.Between;
                    LastRecordEnd = Position;
                }

                return skipped;

            case State.Between:
                if ((Position.Value & 7) is not 0 and ulong odd)
                {
                    int padding = Take(bytes, 8 - odd);
                    Advance(padding);
                    return padding;
                }

                _recordStart = Position;
                _recordLength = 0;
                _got = 0;
                _total = RecordHeaderLength;
                _state = State.Header;
                return 0;

            case State.Header:
                return TakeRecordHeader(bytes);

            default:
                return TakeRecordBody(bytes);
        }
    }

    private int TakeRecordHeader(ReadOnlySpan<byte> bytes)
    {
        int taken = Math.Min(bytes.Length, RecordHeaderLength - _recordLength);
        bytes[..taken].CopyTo(_record.AsSpan(_recordLength));
        _recordLength += taken;
        _got += (uint)taken;
        Advance(taken);
        if (_recordLength >= sizeof(uint) && _recordLength - taken < sizeof(uint))
        {
            // Known before the page ends, because a record begins on a multiple of eight: the next page's head is compared with it.
            _total = BinaryPrimitives.ReadUInt32LittleEndian(_record);
            if (_total is < RecordHeaderLength or > MaximumRecordLength)
            {
                throw Invalid(_recordStart, $"a record of {_total} bytes begins there");
            }
        }

        if (_recordLength < RecordHeaderLength)
        {
            return taken;
        }

        Lsn previous = new(BinaryPrimitives.ReadUInt64LittleEndian(_record.AsSpan(8)));
        if (_previous is { } expected ? previous != expected : previous >= _recordStart)
        {
            throw Invalid(_recordStart, $"the record there says that the one before it is at {previous}" +
                (_previous is { } known ? $", and it is at {known}" : ""));
        }

        byte info = _record[16];
        byte manager = _record[17];
        if (_mustOverwrite && (manager != ResourceManagerXlog || (info & 0xF0) != XlogOverwriteContinuation))
        {
            throw Invalid(_recordStart, "the page gives up a record, and the record there does not say so");
        }

        _mustOverwrite = false;
        _crc = uint.MaxValue;
        _keep = manager == ResourceManagerTransaction ? TransactionKind(info) is not null
            : manager == ResourceManagerXlog && (info & 0xF0) == XlogRestorePoint;
        _isSelected = SelectsRecord?.Invoke(manager, info) ?? false;
        _body.ResetWrittenCount();
        _state = State.Body;
        if (_total == RecordHeaderLength)
        {
            FinishRecord();
        }

        return taken;
    }

    private int TakeRecordBody(ReadOnlySpan<byte> bytes)
    {
        int taken = Take(bytes, _total - _got);
        ReadOnlySpan<byte> part = bytes[..taken];
        _crc = Crc32C.Append(_crc, part);
        if (_keep || _isSelected)
        {
            _body.Write(part);
        }

        _got += (uint)taken;
        Advance(taken);
        if (_got == _total)
        {
            FinishRecord();
        }

        return taken;
    }

    private void FinishRecord()
    {
        // The checksum covers the rest first and then the head up to the checksum itself (xloginsert.c).
        uint crc = ~Crc32C.Append(_crc, _record.AsSpan(0, 20));
        if (crc != BinaryPrimitives.ReadUInt32LittleEndian(_record.AsSpan(20)))
        {
            throw Invalid(_recordStart, "the checksum of the record there is wrong");
        }

        Lsn end = new(Align(Position.Value));
        byte info = _record[16];
        if (_isSelected)
        {
            uint xid = BinaryPrimitives.ReadUInt32LittleEndian(_record.AsSpan(4));
            WalRecord record = new(_record[17], info, xid, _recordStart, end, MajorVersion ?? 0, _body.WrittenSpan);
            if (OnRecord?.Invoke(record) == false)
            {
                throw Invalid(_recordStart, "the parts of the record there do not fit its length");
            }
        }

        if (_keep)
        {
            Report(info, end);
        }

        bool switches = _record[17] == ResourceManagerXlog && (info & 0xF0) == XlogSwitch;
        _state = switches && SegmentOffset != 0 ? State.Switched : State.Between;
        _previous = _recordStart;
        LastRecordEnd = end;
        if (_body.Capacity > 1 << 20)
        {
            _body.Clear();
        }
    }

    private void Report(byte info, Lsn end)
    {
        if (!WalRecordBody.TryGetMainData(_body.WrittenSpan, out ReadOnlySpan<byte> data))
        {
            throw Invalid(_recordStart, "the parts of the record there do not fit its length");
        }

        if (_record[17] == ResourceManagerXlog)
        {
            if (data.Length < 8 + 1)
            {
                throw Invalid(_recordStart, "the restore point there is too short");
            }

            ReadOnlySpan<byte> name = data[8..];
            int length = name.IndexOf((byte)0);
            OnRestorePoint?.Invoke(new WalRestorePoint(
                Encoding.UTF8.GetString(length < 0 ? name : name[..length]), WalRecordBody.ReadTime(data), _recordStart, end));
            return;
        }

        WalTransactionKind kind = TransactionKind(info)!.Value;
        uint xid = BinaryPrimitives.ReadUInt32LittleEndian(_record.AsSpan(4));
        if (data.Length < 8 || !WalRecordBody.TryGetPreparedXid(data, info, kind, MajorVersion ?? 0, ref xid))
        {
            throw Invalid(_recordStart, "the end of a transaction there is too short");
        }

        OnTransaction?.Invoke(new WalTransaction(kind, xid, WalRecordBody.ReadTime(data), _recordStart, end));
    }

    // xact.h: XLOG_XACT_OPMASK and its values.
    private static WalTransactionKind? TransactionKind(byte info) => (info & 0x70) switch
    {
        0x00 => WalTransactionKind.Commit,
        0x20 => WalTransactionKind.Abort,
        0x30 => WalTransactionKind.CommitPrepared,
        0x40 => WalTransactionKind.AbortPrepared,
        _ => null,
    };

    private static ulong Align(ulong value) => (value + 7) & ~7UL;

    private SmcException Invalid(Lsn lsn, string problem)
    {
        WalSegmentName segment = WalSegmentName.Containing(lsn, _timeline, _segmentSize);
        return new SmcException(
            SmcErrorCode.WalInvalid, $"The WAL segment '{segment}' is not valid at {lsn}: {problem}.", target: segment.ToString());
    }
}
