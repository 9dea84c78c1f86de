using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Copies listed files into a backup over several connections. Work is cut into units, ranges of big files first and batches of
/// small ones last, and every worker takes the next one, so that all end at about the same time.
/// </summary>
internal sealed class FileCopier
{
    /// <summary>Files below this size are read many to a query and share blocks.</summary>
    private const int SmallFileSize = 1 << 20;

    /// <summary>One read: the server holds as much in memory for it, and so does a worker.</summary>
    private const int ReadSize = 4 << 20;

    /// <summary>What a worker takes at a time of a big file.</summary>
    private const long RangeSize = 32 << 20;

    private const int BatchSize = 1 << 20;
    private const int BatchCount = 256;

    /// <summary>
    /// How much longer than listed a file that is no relation may have become: a configuration file that was replaced since must
    /// come whole, no WAL brings its end. What a relation has grown by is in the WAL.
    /// </summary>
    private const int Growth = 64 << 10;

    private readonly BackupWriter _writer;
    private readonly ServerFacts _facts;
    private readonly PageVerifier? _verifier;
    private readonly IOperationObserver _observer;
    private readonly OperationProgress _progress;
    private readonly List<Unit> _units = [];
    private int _nextUnit = -1;
    private long _done;
    private int _vanished;

    public FileCopier(
        BackupWriter writer, DataDirectoryListing listing, ServerFacts facts, PageVerifier? verifier, OperationProgress progress,
        IOperationObserver observer)
    {
        _writer = writer;
        _facts = facts;
        _verifier = verifier;
        _progress = progress;
        _observer = observer;
        Plan(listing.Files);
    }

    /// <summary>How many bytes were copied, or found not to be there any more.</summary>
    public long Done => Interlocked.Read(ref _done);

    /// <summary>How many files were dropped by the server before they were copied.</summary>
    public int VanishedCount => Volatile.Read(ref _vanished);

    /// <summary>How many workers there is work for.</summary>
    public int UnitCount => _units.Count;

    /// <summary>
    /// The size of blocks: larger for larger files, so that a manifest stays small; the same for the same size of file and a
    /// multiple of 64 KiB, so that a later backup can compare range with range.
    /// </summary>
    public static int BlockSizeOf(long fileSize) => fileSize switch
    {
        <= 16L << 30 => 1 << 20,
        <= 32L << 30 => 2 << 20,
        _ => ReadSize,
    };

    /// <summary>One worker: copies units until there are no more.</summary>
    public async Task WorkAsync(ServerFileSource source, CancellationToken cancellationToken)
    {
        PackLane lane = _writer.OpenLane();
        await using (lane.ConfigureAwait(false))
        {
            using GrowingBuffer buffer = new(ReadSize);
            while (Interlocked.Increment(ref _nextUnit) is int number && number < _units.Count)
            {
                Unit unit = _units[number];
                await (unit.Big is { } file
                    ? CopyRangeAsync(source, lane, file, unit.Offset, unit.Length, buffer, cancellationToken)
                    : CopyBatchAsync(source, lane, unit.Small!, buffer, cancellationToken)).ConfigureAwait(false);
            }

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

    private void Plan(IReadOnlyList<SourceFile> files)
    {
        foreach (SourceFile file in files.Where(static file => file.Size >= SmallFileSize).OrderByDescending(static file => file.Size))
        {
            BigFile big = new(file, BlockSizeOf(file.Size), (int)((file.Size + RangeSize - 1) / RangeSize));
            for (long offset = 0; offset < file.Size; offset += RangeSize)
            {
                _units.Add(new Unit(big, offset, Math.Min(RangeSize, file.Size - offset), null));
            }
        }

        List<SourceFile> batch = [];
        long size = 0;
        foreach (SourceFile file in files.Where(static file => file.Size < SmallFileSize))
        {
            if (batch.Count == BatchCount || (batch.Count > 0 && size + file.Size > BatchSize))
            {
                _units.Add(new Unit(null, 0, size, [.. batch]));
                batch.Clear();
                size = 0;
            }

            batch.Add(file);
            size += file.Size;
        }

        if (batch.Count > 0)
        {
            _units.Add(new Unit(null, 0, size, [.. batch]));
        }
    }

    private async Task CopyRangeAsync(
        ServerFileSource source, PackLane lane, BigFile file, long offset, long length, GrowingBuffer buffer, CancellationToken cancellationToken)
    {
        bool paged = BackupFileRules.IsPaged(file.Source.Path, out uint segment);
        for (long end = offset + length; offset < end && !file.IsVanished; offset += ReadSize)
        {
            Memory<byte> content = buffer.First((int)Math.Min(ReadSize, end - offset));
            int? read = await source.ReadAsync(file.Source.Path, offset, content, cancellationToken).ConfigureAwait(false);
            if (read is null)
            {
                file.Vanish();
            }
            else
            {
                if (paged && _verifier is not null)
                {
                    await _verifier.VerifyAsync(source, file.Source.Path, segment, offset, content[..read.Value], cancellationToken)
                        .ConfigureAwait(false);
                }

                // A file that was truncated since it was listed goes on with zeros, as in PostgreSQL's own base backups: other workers
                // may have its later ranges already, and replaying the truncation from the WAL sets the length right.
                content.Span[read.Value..].Clear();
                for (int at = 0; at < content.Length; at += file.BlockSize)
                {
                    Memory<byte> block = content[at..Math.Min(at + file.BlockSize, content.Length)];
                    file.Extents[(offset + at) / file.BlockSize] = await lane.WriteAsync(block, cancellationToken).ConfigureAwait(false);
                }
            }

            Report(file.Source.Path, content.Length);
        }

        if (file.EndRange())
        {
            if (file.IsVanished)
            {
                // Dropped since the backup began; the WAL holds the drop. Blocks of it that were stored are not referred to.
                Interlocked.Increment(ref _vanished);
            }
            else
            {
                _writer.Add(EntryOf(file.Source) with { Extents = file.Extents });
            }
        }
    }

    private async Task CopyBatchAsync(
        ServerFileSource source, PackLane lane, SourceFile[] files, GrowingBuffer buffer, CancellationToken cancellationToken)
    {
        string[] paths = new string[files.Length];
        long[] lengths = new long[files.Length];
        for (int i = 0; i < files.Length; i++)
        {
            paths[i] = files[i].Path;
            lengths[i] = BackupFileRules.IsPaged(files[i].Path, out _) ? files[i].Size : files[i].Size + Growth;
        }

        Range?[] found = await source.ReadManyAsync(paths, lengths, buffer, cancellationToken).ConfigureAwait(false);
        long size = 0;
        for (int i = 0; i < files.Length; i++)
        {
            size += files[i].Size;
            if (found[i] is not { } range)
            {
                Interlocked.Increment(ref _vanished);
                continue;
            }

            Memory<byte> content = buffer[range];
            if (_verifier is not null && BackupFileRules.IsPaged(files[i].Path, out uint segment))
            {
                await _verifier.VerifyAsync(source, files[i].Path, segment, 0, content, cancellationToken).ConfigureAwait(false);
            }

            await lane.AddSmallFileAsync(EntryOf(files[i]), content, cancellationToken).ConfigureAwait(false);
        }

        Report(files[0].Path, size);
    }

    private void Report(string path, long bytes) =>
        _observer.Progress(_progress with { Status = path, Done = Interlocked.Add(ref _done, bytes) });

    private sealed record Unit(BigFile? Big, long Offset, long Length, SourceFile[]? Small);

    /// <summary>A file whose ranges are copied by several workers.</summary>
    private sealed class BigFile(SourceFile source, int blockSize, int ranges)
    {
        private int _ranges = ranges;
        private volatile bool _vanished;

        public SourceFile Source => source;

        public int BlockSize => blockSize;

        public FileExtent[] Extents { get; } = new FileExtent[(source.Size + blockSize - 1) / blockSize];

        public bool IsVanished => _vanished;

        public void Vanish() => _vanished = true;

        /// <summary>Whether this was the last range.</summary>
        public bool EndRange() => Interlocked.Decrement(ref _ranges) == 0;
    }
}
