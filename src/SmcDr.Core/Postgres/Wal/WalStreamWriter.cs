using System.Diagnostics;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Takes a timeline's WAL in order, from the beginning of a segment on, and makes it durable: in pieces while a segment grows, whole
/// when it is complete. What is archived already is compared, not stored again. Not safe for concurrent use.
/// </summary>
internal sealed class WalStreamWriter
{
    /// <summary>So many pieces in a row are replaced by one, so that a day of little traffic does not leave thousands.</summary>
    public const int PiecesPerRun = 64;

    // A record longer than this many segments is skipped unchecked after a restart in the middle of it.
    private const int SegmentsBefore = 4;

    // A segment that took longer to come is worth compressing again, better: that takes a processor a tenth of a second.
    private static readonly TimeSpan s_slow = TimeSpan.FromSeconds(10);

    private readonly WalArchive _archive;
    private readonly WalCatalog.Listing? _listing;
    private readonly IOperationObserver _observer;
    private readonly int _segmentSize;
    private readonly int _serverVersion;
    private readonly byte[] _segment;
    private readonly WalIndexBuilder _pieceIndex = new();
    private readonly WalIndexBuilder _segmentIndex = new();
    private readonly WalFrames _frames = new();
    private readonly List<WalKey> _run = [];
    private readonly List<WalKey> _stored = [];
    private WalRecordScanner _scanner;

    private byte[] _known = [];
    private bool _isWhole;
    private byte[]? _whole;
    private int _filled;
    private int _durable;
    private int _runStart;
    private WalIndex _runIndex = WalIndex.Empty;
    private DateTimeOffset? _serverTime;
    private long? _waitingSince;
    private long _begun;

    private WalStreamWriter(
        WalArchive archive,
        WalCatalog.Listing? listing,
        WalSegmentName segment,
        int segmentSize,
        int serverVersion,
        IOperationObserver observer)
    {
        _archive = archive;
        _listing = listing;
        _observer = observer;
        _segmentSize = segmentSize;
        _serverVersion = serverVersion;
        _segment = GC.AllocateUninitializedArray<byte>(segmentSize);
        Segment = segment;
        FlushedLsn = segment.StartLsn(segmentSize);
        _scanner = NewScanner(FlushedLsn);
    }

    /// <summary>The segment that is growing.</summary>
    public WalSegmentName Segment { get; private set; }

    /// <summary>Where the next byte belongs.</summary>
    public Lsn ReceivedLsn => Segment.StartLsn(_segmentSize) + (uint)_filled;

    /// <summary>Up to where everything is durable, and known to be what the server has.</summary>
    public Lsn FlushedLsn { get; private set; }

    /// <summary>How many segments were completed.</summary>
    public long SegmentCount { get; private set; }

    /// <summary>How long the first byte that is not durable has waited; null where all are.</summary>
    public TimeSpan? Waiting => _waitingSince is { } since ? Stopwatch.GetElapsedTime(since) : null;

    /// <summary>Prepares to write from the beginning of a segment on.</summary>
    public static async Task<WalStreamWriter> OpenAsync(
        WalArchive archive,
        WalCatalog catalog,
        TimelineHistory history,
        WalSegmentName segment,
        int segmentSize,
        int serverVersion,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        WalStreamWriter writer = new(
            archive, catalog.Timelines.GetValueOrDefault(segment.Timeline), segment, segmentSize, serverVersion, observer);
        await writer.ScanBeforeAsync(catalog, history, cancellationToken).ConfigureAwait(false);
        await writer.BeginSegmentAsync(cancellationToken).ConfigureAwait(false);
        return writer;
    }

    /// <summary>Takes the bytes at <see cref="ReceivedLsn"/>. Complete segments are durable when this returns.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="arrived">When the first of them came, as <see cref="Stopwatch.GetTimestamp"/> counts.</param>
    /// <param name="serverTime">The server's clock, where it had no WAL behind them.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WalInvalid"/> or <see cref="SmcErrorCode.WalDuplicate"/>.</exception>
    public async Task AppendAsync(ReadOnlyMemory<byte> bytes, long arrived, DateTimeOffset? serverTime, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            bool known = _filled < _known.Length;
            int length = Math.Min(bytes.Length, (known ? _known.Length : _segmentSize) - _filled);
            ReadOnlyMemory<byte> part = bytes[..length];
            bytes = bytes[length..];
            // It says something of the last of them.
            _serverTime = bytes.IsEmpty ? serverTime ?? _serverTime : _serverTime;
            if (known && !part.Span.SequenceEqual(_known.AsSpan(_filled, length)))
            {
                int differs = part.Span.CommonPrefixLength(_known.AsSpan(_filled, length));
                throw Differs(ReceivedLsn + (uint)differs);
            }

            _scanner.Append(part.Span);
            part.CopyTo(_segment.AsMemory(_filled));
            _filled += length;
            if (known)
            {
                FlushedLsn = ReceivedLsn;
                _durable = _filled;
                _runStart = _filled;
                _ = _pieceIndex.Take();
            }
            else
            {
                _waitingSince ??= arrived;
            }

            if (_filled == _segmentSize)
            {
                await CompleteAsync(cancellationToken).ConfigureAwait(false);
                await BeginSegmentAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Makes everything that was taken durable.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        // A segment that is archived whole needs no pieces.
        if (_filled > _durable && _isWhole)
        {
            await CompareWithWholeAsync(cancellationToken).ConfigureAwait(false);
        }

        if (_filled > _durable && !_isWhole)
        {
            WalIndex index = _pieceIndex.Take();
            _runIndex = _runIndex.Concat(index);
            bool mergesRun = _run.Count + 1 >= PiecesPerRun;
            int start = mergesRun ? _runStart : _durable;
            ReadOnlyMemory<byte> content = _segment.AsMemory(start.._filled);
            await _archive.PutPieceAsync(
                Segment, _segmentSize, start, content, NewFacts(mergesRun ? _runIndex : index), _frames.Add(start, content), cancellationToken)
                .ConfigureAwait(false);
            _durable = _filled;
            WalKey piece = WalKey.Piece(Segment, (uint)start, (uint)_filled);
            if (mergesRun)
            {
                await RemoveAsync(_run, cancellationToken).ConfigureAwait(false);
                _stored.Add(piece);
                _run.Clear();
                _runStart = _filled;
                _runIndex = WalIndex.Empty;
            }
            else
            {
                _run.Add(piece);
            }

            FlushedLsn = ReceivedLsn;
        }

        _waitingSince = null;
    }

    /// <summary>
    /// A timeline may end in the middle of a segment that its former primary has filled since, so that it is never complete here.
    /// </summary>
    private async Task CompareWithWholeAsync(CancellationToken cancellationToken)
    {
        _whole ??= _listing?.Find(Segment) is { } segment ? await ReadAsync(segment, cancellationToken).ConfigureAwait(false) : null;
        if (_whole is null)
        {
            // It cannot be read, so pieces are worth something.
            _isWhole = false;
            return;
        }

        int same = _segment.AsSpan(0, _filled).CommonPrefixLength(_whole);
        if (same < _filled)
        {
            throw Differs(Segment.StartLsn(_segmentSize) + (uint)same);
        }

        FlushedLsn = ReceivedLsn;
        _durable = _filled;
        _runStart = _filled;
        _ = _pieceIndex.Take();
    }

    private SmcException Differs(Lsn lsn) => new(
        SmcErrorCode.WalDuplicate,
        $"The server's WAL segment '{Segment}' differs at {lsn} from what is in the archive.",
        target: Segment.ToString());

    private async Task CompleteAsync(CancellationToken cancellationToken)
    {
        WalFacts facts = NewFacts(_segmentIndex.Take());
        _ = _pieceIndex.Take();
        await _archive.PutSegmentAsync(Segment, _segment, facts, Compress(), cancellationToken).ConfigureAwait(false);
        FlushedLsn = ReceivedLsn;
        _waitingSince = null;
        SegmentCount++;
        await RemoveAsync(
            [.. _stored, .. _run, .. _listing?.Find(Segment)?.Pieces.Select(static piece => piece.Key) ?? []], cancellationToken)
            .ConfigureAwait(false);
        Segment = Segment.Next(_segmentSize);
    }

    /// <summary>What is compressed of the segment already, with the rest; null where it is to be compressed as a whole.</summary>
    private WalPayload? Compress()
    {
        if (_frames.End != _durable || Stopwatch.GetElapsedTime(_begun) > s_slow)
        {
            return null;
        }

        WalPayload rest = _frames.Add(_durable, _segment.AsMemory(_durable));
        return _frames.End == _segmentSize ? _frames.All : _durable == 0 ? rest : null;
    }

    private async Task BeginSegmentAsync(CancellationToken cancellationToken)
    {
        _begun = Stopwatch.GetTimestamp();
        _frames.Clear();
        (_filled, _durable, _runStart, _runIndex, _known, _isWhole, _whole) = (0, 0, 0, WalIndex.Empty, [], false, null);
        _run.Clear();
        _stored.Clear();
        if (_listing?.Find(Segment) is not { } segment)
        {
            return;
        }

        _isWhole = segment.Whole is not null;
        if (!_isWhole)
        {
            _known = await ReadAsync(segment, cancellationToken).ConfigureAwait(false) ?? [];
        }
    }

    /// <summary>
    /// Where the first record of the segment begins in the one before, reads that one, so that no transaction is overlooked and every
    /// record is checked.
    /// </summary>
    private async Task ScanBeforeAsync(WalCatalog catalog, TimelineHistory history, CancellationToken cancellationToken)
    {
        List<byte[]> before = [];
        ulong number = Segment.Number(_segmentSize);
        while (before.Count < SegmentsBefore && number > (ulong)before.Count)
        {
            Lsn start = WalSegmentName.FromNumber(Segment.Timeline, number - (ulong)before.Count - 1, _segmentSize).StartLsn(_segmentSize);
            WalSegmentName name = WalSegmentName.Containing(start, history.TimelineAt(start), _segmentSize);
            byte[]? content = null;
            // Not of a timeline that was left before the segment's end: the rest of that is of another history.
            Lsn end = start + (uint)_segmentSize;
            foreach (uint timeline in history.Lineage.Where(timeline => timeline <= Segment.Timeline && !(history.SwitchPoint(timeline) < end)))
            {
                if (catalog.Timelines.GetValueOrDefault(timeline)?.Find(name with { Timeline = timeline }) is { Whole: not null } segment)
                {
                    content = await ReadAsync(segment, cancellationToken).ConfigureAwait(false);
                    break;
                }
            }

            if (content is null)
            {
                return;
            }

            before.Insert(0, content);
            _scanner = NewScanner(start);
            foreach (byte[] bytes in before)
            {
                _scanner.Append(bytes);
            }

            if (_scanner.IsSynchronized)
            {
                break;
            }
        }

        _ = _pieceIndex.Take();
        _ = _segmentIndex.Take();
    }

    private async Task<byte[]?> ReadAsync(WalCatalog.Segment segment, CancellationToken cancellationToken)
    {
        try
        {
            return await _archive.TryLoadItemAsync(segment, _segmentSize, cancellationToken).ConfigureAwait(false) is { } item
                ? await _archive.ReadAsync(item, cancellationToken).ConfigureAwait(false)
                : null;
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.ObjectNotFound)
        {
            // New WAL must not be lost because old WAL is damaged.
            _observer.Warning($"{e.Message} The stream goes on without comparing it.");
            return null;
        }
    }

    private WalRecordScanner NewScanner(Lsn start) => new(start, Segment.Timeline, _segmentSize, _archive.SystemId)
    {
        OnTransaction = transaction =>
        {
            _pieceIndex.Add(transaction);
            _segmentIndex.Add(transaction);
        },
        OnRestorePoint = point =>
        {
            _pieceIndex.Add(point);
            _segmentIndex.Add(point);
        },
    };

    private WalFacts NewFacts(WalIndex index) => new()
    {
        Index = index,
        LastRecordEnd = _scanner.LastRecordEnd,
        ServerTime = _serverTime,
        ServerVersionNumber = _serverVersion,
    };

    private async Task RemoveAsync(IReadOnlyCollection<WalKey> pieces, CancellationToken cancellationToken)
    {
        try
        {
            await _archive.RemoveAsync(pieces, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e)
        {
            // A locked or read-only store keeps them. They do no harm: what replaced them is preferred.
            _observer.Verbose($"Pieces of the WAL segment '{Segment}' stay although it is complete: {e.Message}");
        }
    }
}
