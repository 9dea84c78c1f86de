using System.Security.Cryptography;
using System.Threading.Channels;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Copies listed files into a backup over several connections. Work is cut into units, and every worker takes the next one, so that all
/// end at about the same time. Where there is a parent, files that are as it knows them are taken over, and of the others the server
/// sends what differs.
/// </summary>
internal sealed class FileCopier
{
    /// <summary>Files below this size are read many to a query and share blocks.</summary>
    private const int SmallFileSize = 1 << 20;

    /// <summary>One read: the server holds as much in memory for it, and so does a worker.</summary>
    private const int ReadSize = 4 << 20;

    /// <summary>What a worker takes at a time of a big file.</summary>
    private const long RangeSize = 32 << 20;

    /// <summary>What is compared in one query: a worker holds so much where all of it has changed.</summary>
    private const int CompareSize = 8 << 20;

    /// <summary>What the server reads for it at a time, and what is stored as a block of its own where most of it has changed.</summary>
    private const int CompareRange = 1 << 20;

    private const int BatchSize = 1 << 20;
    private const int BatchCount = 256;

    /// <summary>Files that are compared whole: most are not sent, so that a batch may be larger.</summary>
    private const int CompareBatchSize = 4 << 20;

    private const int WaitingUnits = 64;

    /// <summary>
    /// How much longer than listed a file that is no relation may have become: a configuration file that was replaced since must
    /// come whole, no WAL brings its end. What a relation has grown by is in the WAL.
    /// </summary>
    private const int Growth = 64 << 10;

    private static readonly byte[] s_emptyHash = SHA256.HashData([]);

    private readonly BackupWriter _writer;
    private readonly DataDirectoryListing _listing;
    private readonly ServerFacts _facts;
    private readonly PageVerifier? _verifier;
    private readonly IOperationObserver _observer;
    private readonly OperationProgress _progress;
    private readonly BackupParent? _parent;
    private readonly DateTimeOffset? _unchangedBefore;
    private readonly PageHashCache? _hashes;
    private readonly Channel<Unit> _units = Channel.CreateBounded<Unit>(new BoundedChannelOptions(WaitingUnits) { SingleWriter = true });
    private long _done;
    private long _unchanged;
    private long _compared;
    private int _vanished;

    /// <param name="writer">The backup.</param>
    /// <param name="listing">What is copied.</param>
    /// <param name="facts">The server.</param>
    /// <param name="parent">What is built on; null for a full backup.</param>
    /// <param name="unchangedBefore">See <see cref="BackupParent.UnchangedBefore"/>.</param>
    /// <param name="verifier">Checks pages.</param>
    /// <param name="progress">What progress looks like.</param>
    /// <param name="observer">Is told of it.</param>
    public FileCopier(
        BackupWriter writer, DataDirectoryListing listing, ServerFacts facts, BackupParent? parent, DateTimeOffset? unchangedBefore,
        PageVerifier? verifier, OperationProgress progress, IOperationObserver observer)
    {
        _writer = writer;
        _listing = listing;
        _facts = facts;
        _parent = parent;
        _unchangedBefore = unchangedBefore;
        _hashes = parent is null ? null : new PageHashCache(parent.Reader, observer);
        _verifier = verifier;
        _progress = progress;
        _observer = observer;
    }

    /// <summary>How many bytes were copied, taken over, or found not to be there any more.</summary>
    public long Done => Interlocked.Read(ref _done);

    /// <summary>How many files were taken over without being read.</summary>
    public long UnchangedCount => Interlocked.Read(ref _unchanged);

    /// <summary>How many bytes the server has compared.</summary>
    public long ComparedBytes => Interlocked.Read(ref _compared);

    /// <summary>How many files were dropped by the server before they were copied.</summary>
    public int VanishedCount => Volatile.Read(ref _vanished);

    /// <summary>How many workers there may be work for.</summary>
    public int UnitCount => (int)Math.Min(
        int.MaxValue, 1 + (_listing.Files.Count / BatchCount) + (_listing.TotalBytes / (_parent is null ? RangeSize : CompareSize)));

    /// <summary>
    /// The size of blocks: larger for larger files, since each costs its digests in the manifest of every backup that refers to it; a
    /// multiple of all page sizes.
    /// </summary>
    public static int BlockSizeOf(long fileSize) => fileSize < 64 << 20 ? 1 << 20 : ReadSize;

    /// <summary>Cuts the work into units for the workers. Called once, beside them.</summary>
    public async Task PlanAsync(CancellationToken cancellationToken)
    {
        try
        {
            await (_parent is null ? PlanFullAsync(cancellationToken) : PlanIncrementalAsync(_parent, cancellationToken)).ConfigureAwait(false);
            _units.Writer.Complete();
        }
        catch (Exception e)
        {
            _units.Writer.Complete(e);
            throw;
        }
    }

    /// <summary>One worker: copies units until there are no more.</summary>
    public async Task WorkAsync(ICopySource source, CancellationToken cancellationToken)
    {
        PackLane lane = _writer.OpenLane();
        await using (lane.ConfigureAwait(false))
        {
            using GrowingBuffer buffer = new(ReadSize);
            Worker worker = new(source, lane, new PageGatherer(lane, _facts.BlockSize, AddFile), buffer);
            await foreach (Unit unit in _units.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                await (unit switch
                {
                    SmallFiles small => CopyBatchAsync(worker, small, cancellationToken),
                    Piece piece => CopyRangeAsync(worker, piece, cancellationToken),
                    Comparison comparison => CompareAsync(worker, comparison, cancellationToken),
                    _ => throw new InvalidOperationException("There is no such work."),
                }).ConfigureAwait(false);
            }

            await worker.Gatherer.FlushAsync(cancellationToken).ConfigureAwait(false);
            await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public ManifestEntry EntryOf(SourceFile file) => new()
    {
        Kind = ManifestEntryKind.File,
        Path = file.Path,
        Size = file.Size,
        Mode = file.Path == _facts.KeyFileInside ? 0x180 : _facts.FileMode,
        ModifiedTime = file.ModifiedTime,
    };

    /// <summary>Ranges of big files first, the biggest before the others, and batches of small ones last.</summary>
    private async Task PlanFullAsync(CancellationToken cancellationToken)
    {
        IEnumerable<SourceFile> big = _listing.Files.Where(static file => file.Size >= SmallFileSize);
        foreach (SourceFile file in big.OrderByDescending(static file => file.Size))
        {
            await PlanCopyAsync(file, cancellationToken).ConfigureAwait(false);
        }

        SmallBatch batch = new(_units.Writer, BatchSize);
        foreach (SourceFile file in _listing.Files.Where(static file => file.Size < SmallFileSize))
        {
            await batch.AddAsync(file, null, cancellationToken).ConfigureAwait(false);
        }

        await batch.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>In the order of paths, in which the parent is read: it need not fit into memory.</summary>
    private async Task PlanIncrementalAsync(BackupParent parent, CancellationToken cancellationToken)
    {
        SmallBatch batch = new(_units.Writer, CompareBatchSize);
        List<Piece> pieces = [];
        long piecesLength = 0;
        IAsyncEnumerator<ManifestEntry> entries = parent.ReadEntriesAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (entries.ConfigureAwait(false))
        {
            bool hasEntry = await entries.MoveNextAsync().ConfigureAwait(false);
            foreach (SourceFile file in _listing.Files)
            {
                while (hasEntry && string.CompareOrdinal(entries.Current.Path, file.Path) < 0)
                {
                    hasEntry = await entries.MoveNextAsync().ConfigureAwait(false);
                }

                ManifestEntry? known = hasEntry && entries.Current.Path == file.Path && entries.Current.Kind == ManifestEntryKind.File
                    ? entries.Current
                    : null;
                IReadOnlySet<long> damaged = parent.DamagedPagesOf(file.Path);
                if (known is not null && damaged.Count == 0 && IsUnchanged(known, file))
                {
                    TakeOver(file, known);
                    Interlocked.Increment(ref _unchanged);
                    Report(file.Path, file.Size);
                }
                else if (file.Size < SmallFileSize)
                {
                    await batch.AddAsync(file, damaged.Count == 0 ? known : null, cancellationToken).ConfigureAwait(false);
                }
                else if (known is null)
                {
                    await PlanCopyAsync(file, cancellationToken).ConfigureAwait(false);
                }
                else
                {
                    BigFile big = new(
                        file, CompareRange, (int)((file.Size + CompareSize - 1) / CompareSize), new KnownPages(known, damaged));
                    for (long offset = 0; offset < file.Size; offset += CompareSize)
                    {
                        Piece piece = new(big, offset, Math.Min(CompareSize, file.Size - offset));
                        if (piecesLength + piece.Length > CompareSize)
                        {
                            await FlushPiecesAsync().ConfigureAwait(false);
                        }

                        pieces.Add(piece);
                        piecesLength += piece.Length;
                    }
                }
            }
        }

        await FlushPiecesAsync().ConfigureAwait(false);
        await batch.FlushAsync(cancellationToken).ConfigureAwait(false);

        async ValueTask FlushPiecesAsync()
        {
            if (pieces.Count > 0)
            {
                await _units.Writer.WriteAsync(new Comparison([.. pieces]), cancellationToken).ConfigureAwait(false);
                pieces.Clear();
                piecesLength = 0;
            }
        }
    }

    private async ValueTask PlanCopyAsync(SourceFile file, CancellationToken cancellationToken)
    {
        BigFile big = new(file, BlockSizeOf(file.Size), (int)((file.Size + RangeSize - 1) / RangeSize), null);
        for (long offset = 0; offset < file.Size; offset += RangeSize)
        {
            await _units.Writer.WriteAsync(new Piece(big, offset, Math.Min(RangeSize, file.Size - offset)), cancellationToken)
                .ConfigureAwait(false);
        }
    }

    private bool IsUnchanged(ManifestEntry known, SourceFile file) =>
        known.Size == file.Size && known.ModifiedTime == file.ModifiedTime && file.ModifiedTime < _unchangedBefore;

    private void TakeOver(SourceFile file, ManifestEntry known) =>
        _writer.Add(EntryOf(file) with { Size = known.Size, Extents = known.Extents, Hash = known.Hash });

    private async Task CopyRangeAsync(Worker worker, Piece piece, CancellationToken cancellationToken)
    {
        BigFile file = piece.File;
        bool paged = BackupFileRules.IsPaged(file.Source.Path, out uint segment);
        long end = piece.Offset + piece.Length;
        for (long offset = piece.Offset; offset < end && !file.IsVanished; offset += ReadSize)
        {
            Memory<byte> content = worker.Buffer.First((int)Math.Min(ReadSize, end - offset));
            int? read = await worker.Source.ReadAsync(file.Source.Path, offset, content, cancellationToken).ConfigureAwait(false);
            if (read is null)
            {
                file.Vanish();
            }
            else
            {
                if (paged && _verifier is not null)
                {
                    await _verifier.VerifyAsync(worker.Source, file.Source.Path, segment, offset, content[..read.Value], cancellationToken)
                        .ConfigureAwait(false);
                }

                // A file that was truncated since it was listed goes on with zeros, as in PostgreSQL's own base backups: other workers
                // may have its later ranges already, and replaying the truncation from the WAL sets the length right.
                content.Span[read.Value..].Clear();
                for (int at = 0; at < content.Length; at += file.BlockSize)
                {
                    Memory<byte> block = content[at..Math.Min(at + file.BlockSize, content.Length)];
                    FileExtent extent = await worker.Lane.WritePagesAsync(block, _facts.BlockSize, cancellationToken).ConfigureAwait(false);
                    file.Set(offset + at, [new BigFile.Part(null, extent)]);
                }
            }

            Report(file.Source.Path, content.Length);
        }

        End(file);
    }

    private async Task CompareAsync(Worker worker, Comparison comparison, CancellationToken cancellationToken)
    {
        List<(BigFile File, PageRange Range, FileExtent[] Known)> all = [];
        foreach (Piece piece in comparison.Pieces)
        {
            BigFile file = piece.File;
            for (long offset = piece.Offset; offset < piece.Offset + piece.Length && !file.IsVanished; offset += file.BlockSize)
            {
                int length = (int)Math.Min(file.BlockSize, piece.Offset + piece.Length - offset);
                (FileExtent[] known, byte[] hashes, byte[] heads) = await file.Known!
                    .FindAsync(offset, length, _facts.BlockSize, _hashes!, cancellationToken).ConfigureAwait(false);
                HeadTrust? trust = TrustOf(file.Source.Path, offset);
                all.Add((file, new PageRange(file.Source.Path, offset, length, hashes, heads, trust), known));
            }
        }

        if (all.Count > 0)
        {
            await worker.Source
                .CompareAsync([.. all.Select(static one => one.Range)], _facts.BlockSize, worker.Buffer, cancellationToken)
                .ConfigureAwait(false);
        }

        foreach ((BigFile file, PageRange range, FileExtent[] known) in all)
        {
            if (range.Found is not { } found)
            {
                file.Vanish();
            }
            else
            {
                Interlocked.Add(ref _compared, found);
                file.Set(range.Offset, await TakeAsync(worker, file, range, found, known, cancellationToken).ConfigureAwait(false));
            }
        }

        foreach (Piece piece in comparison.Pieces)
        {
            Report(piece.File.Source.Path, piece.Length);
            End(piece.File);
        }
    }

    private HeadTrust? TrustOf(string path, long offset) =>
        _verifier is not null && _parent!.StartLsnWithChecksums is { } start && BackupFileRules.IsMainFork(path, out uint segment)
            ? new HeadTrust(
                start, new Lsn((ulong)_facts.WalSegmentSize), _facts.BlockSize,
                (uint)((segment * (long)_facts.RelationSegmentBlocks) + (offset / _facts.BlockSize)))
            : null;

    /// <summary>The parts of a range that was compared: pages that the parent has, pages that came, and zeros behind the file's end.</summary>
    private async ValueTask<List<BigFile.Part>> TakeAsync(
        Worker worker, BigFile file, PageRange range, int found, FileExtent[] known, CancellationToken cancellationToken)
    {
        int pageSize = _facts.BlockSize;
        bool paged = BackupFileRules.IsPaged(file.Source.Path, out uint segment) && _verifier is not null;
        if (range.Whole is { } whole)
        {
            Memory<byte> content = worker.Buffer[whole];
            if (paged)
            {
                await _verifier!.VerifyAsync(worker.Source, file.Source.Path, segment, range.Offset, content, cancellationToken)
                    .ConfigureAwait(false);
            }

            FileExtent extent = await worker.Lane.WritePagesAsync(content, pageSize, cancellationToken).ConfigureAwait(false);
            BigFile.Part part = new(null, extent);
            return found < range.Length ? [part, Zeros(range.Length - found)] : [part];
        }

        if (paged && range.Changed.Count > 0)
        {
            Memory<byte> content = worker.Buffer[range.Changed[0].Place.Start..range.Changed[^1].Place.End];
            await _verifier!.VerifyAsync(
                worker.Source, file.Source.Path, segment, at => range.Offset + ((long)range.Changed[at / pageSize].Page * pageSize), content,
                cancellationToken).ConfigureAwait(false);
        }

        List<BigFile.Part> parts = [];
        int next = 0;
        for (int page = 0; page < known.Length; page++)
        {
            int at = page * pageSize;
            int length = Math.Min(pageSize, range.Length - at);
            if (next < range.Changed.Count && range.Changed[next].Page == page)
            {
                Memory<byte> content = worker.Buffer[range.Changed[next++].Place];
                parts.Add(await worker.Gatherer.AddAsync(file, content, cancellationToken).ConfigureAwait(false));
                if (content.Length < length)
                {
                    parts.Add(Zeros(length - content.Length));
                }
            }
            else if (at >= found)
            {
                parts.Add(Zeros(length));
            }
            else if (known[page].Length == length)
            {
                FileExtent extent = known[page];
                if (parts.Count > 0 && parts[^1] is { Open: null, Extent: var last } && extent.Block is not null && last.Block == extent.Block &&
                    last.Start + last.Length == extent.Start)
                {
                    // Not a part for each page of a terabyte.
                    parts[^1] = new BigFile.Part(null, last with { Length = last.Length + extent.Length });
                }
                else
                {
                    parts.Add(new BigFile.Part(null, extent));
                }
            }
            else
            {
                throw new SmcException(
                    SmcErrorCode.InternalError,
                    $"The server did not send page {(range.Offset + at) / pageSize} of '{range.Path}', which the parent does not know.",
                    target: range.Path);
            }
        }

        return parts;

        static BigFile.Part Zeros(int length) => new(null, FileExtent.Zeros(length));
    }

    private async Task CopyBatchAsync(Worker worker, SmallFiles files, CancellationToken cancellationToken)
    {
        int count = files.Files.Length;
        string[] paths = new string[count];
        long[] lengths = new long[count];
        byte[][] hashes = new byte[count][];
        for (int i = 0; i < count; i++)
        {
            (SourceFile file, ManifestEntry? known) = files.Files[i];
            paths[i] = file.Path;
            lengths[i] = BackupFileRules.IsPaged(file.Path, out _) ? file.Size : file.Size + Growth;
            hashes[i] = known is null ? [] : known.Size == 0 ? s_emptyHash : known.Hash?.ToArray() ?? [];
        }

        (bool Differs, Range? Place)[] found = await worker.Source.ReadManyAsync(paths, lengths, hashes, worker.Buffer, cancellationToken)
            .ConfigureAwait(false);
        long size = 0;
        for (int i = 0; i < count; i++)
        {
            (SourceFile file, ManifestEntry? known) = files.Files[i];
            size += file.Size;
            if (hashes[i].Length > 0 && !(found[i].Differs && found[i].Place is null))
            {
                Interlocked.Add(ref _compared, file.Size);
            }

            if (!found[i].Differs)
            {
                TakeOver(file, known!);
                continue;
            }

            if (found[i].Place is not { } range)
            {
                Interlocked.Increment(ref _vanished);
                continue;
            }

            Memory<byte> content = worker.Buffer[range];
            if (_verifier is not null && BackupFileRules.IsPaged(file.Path, out uint segment))
            {
                await _verifier.VerifyAsync(worker.Source, file.Path, segment, 0, content, cancellationToken).ConfigureAwait(false);
            }

            await worker.Lane.AddSmallFileAsync(EntryOf(file), content, cancellationToken).ConfigureAwait(false);
        }

        Report(paths[0], size);
    }

    private void End(BigFile file)
    {
        if (file.Release())
        {
            AddFile(file);
        }
    }

    private void AddFile(BigFile file)
    {
        if (file.IsVanished)
        {
            // Dropped since the backup began; the WAL holds the drop. Blocks of it that were stored are not referred to.
            Interlocked.Increment(ref _vanished);
        }
        else
        {
            _writer.Add(EntryOf(file.Source) with { Extents = file.Extents() });
        }
    }

    private void Report(string path, long bytes) =>
        _observer.Progress(_progress with { Status = path, Done = Interlocked.Add(ref _done, bytes) });

    private abstract record Unit;

    /// <summary>A range of a file that is copied.</summary>
    private sealed record Piece(BigFile File, long Offset, long Length) : Unit;

    /// <summary>Ranges of files that are compared in one query.</summary>
    private sealed record Comparison(Piece[] Pieces) : Unit;

    private sealed record SmallFiles((SourceFile File, ManifestEntry? Known)[] Files) : Unit;

    private sealed record Worker(ICopySource Source, PackLane Lane, PageGatherer Gatherer, GrowingBuffer Buffer);

    /// <summary>Gathers small files into units.</summary>
    private sealed class SmallBatch(ChannelWriter<Unit> units, long maximumSize)
    {
        private readonly List<(SourceFile File, ManifestEntry? Known)> _files = [];
        private long _size;

        public async ValueTask AddAsync(SourceFile file, ManifestEntry? known, CancellationToken cancellationToken)
        {
            if (_files.Count == BatchCount || (_files.Count > 0 && _size + file.Size > maximumSize))
            {
                await FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            _files.Add((file, known));
            _size += file.Size;
        }

        public async ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            if (_files.Count > 0)
            {
                await units.WriteAsync(new SmallFiles([.. _files]), cancellationToken).ConfigureAwait(false);
                _files.Clear();
                _size = 0;
            }
        }
    }
}
