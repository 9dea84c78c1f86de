namespace SmcDr.Core.Repositories;

/// <summary>
/// The entries of a backup that is being written, in any order, read back sorted by path. Many are kept in sorted runs in temporary
/// files, so that memory grows with the stored blocks and not with the files. Safe for concurrent use until it is read.
/// </summary>
internal sealed class ManifestSpool(Component component, BackupWriterOptions options) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<ManifestEntry> _entries = [];
    private readonly List<FileStream> _runs = [];
    private readonly List<BlockReference> _blocks = [];
    private readonly Dictionary<BlockReference, int> _blockNumbers = new(ReferenceEqualityComparer.Instance);

    public long Files { get; private set; }

    public long Bytes { get; private set; }

    public void Add(ManifestEntry entry)
    {
        lock (_gate)
        {
            _entries.Add(entry);
            Files += entry.Kind == ManifestEntryKind.File ? 1 : 0;
            Bytes += entry.Size;
            if (_entries.Count >= options.EntriesInMemory)
            {
                WriteRun();
            }
        }
    }

    /// <summary>The packs of all blocks, which must be durable by now.</summary>
    public IReadOnlyList<PackReference> Packs() =>
    [
        .. _entries.SelectMany(static entry => entry.Extents)
            .Where(static extent => extent.Block is not null)
            .Select(static extent => extent.Block!)
            .Concat(_blocks)
            .SelectMany(static block => block.PageHashes is { } hashes ? (BlockReference[])[block, hashes.Block] : [block])
            .Select(static block => block.Pack)
            .Distinct()
            .OrderBy(static pack => pack.BackupId, StringComparer.Ordinal)
            .ThenBy(static pack => pack.Number),
    ];

    /// <summary>All entries in ordinal order of their paths.</summary>
    public IEnumerable<ManifestEntry> ReadSorted()
    {
        Sort();
        PriorityQueue<IEnumerator<ManifestEntry>, string> heads = new(StringComparer.Ordinal);
        foreach (IEnumerable<ManifestEntry> run in _runs.Select(ReadRun).Append(_entries))
        {
            IEnumerator<ManifestEntry> enumerator = run.GetEnumerator();
            if (enumerator.MoveNext())
            {
                heads.Enqueue(enumerator, enumerator.Current.Path);
            }
        }

        string? last = null;
        while (heads.TryPeek(out IEnumerator<ManifestEntry>? head, out string? path))
        {
            if (path == last)
            {
                throw new SmcException(SmcErrorCode.InternalError, $"The backup was given two entries for '{path}'.", target: path);
            }

            last = path;
            yield return head.Current;
            if (head.MoveNext())
            {
                heads.DequeueEnqueue(head, head.Current.Path);
            }
            else
            {
                heads.Dequeue();
                head.Dispose();
            }
        }
    }

    public void Dispose()
    {
        foreach (FileStream run in _runs)
        {
            run.Dispose();
        }

        _runs.Clear();
    }

    private void Sort() => _entries.Sort(static (left, right) => string.CompareOrdinal(left.Path, right.Path));

    private void WriteRun()
    {
        Sort();
        FileStream run = TemporaryFile.Create();
        _runs.Add(run);
        try
        {
            using ManifestFrame frame = new(options);
            ExtentText extents = new();
            foreach (ManifestEntry entry in _entries)
            {
                frame.Add(ManifestLine.From(entry, extents, NumberOf));
                if (frame.IsFull)
                {
                    run.Write(frame.Take().Span);
                }
            }

            run.Write(frame.Take().Span);
            run.Flush();
        }
        catch (IOException e)
        {
            throw TemporaryFile.Failure(e);
        }

        _entries.Clear();
    }

    private IEnumerable<ManifestEntry> ReadRun(FileStream run)
    {
        run.Position = 0;
        BlockCodec codec;
        using (ManifestFrame frame = new(options))
        {
            codec = frame.Codec;
        }

        ManifestEntryParser parser = new(RepositoryKeys.ComponentFolder(component), _blocks);
        using Stream lines = BlockCodecs.OpenDecompressor(codec, run);
        foreach (ManifestLine line in ManifestLineReader.Read(lines))
        {
            yield return parser.Parse(line);
        }
    }

    private int NumberOf(BlockReference block)
    {
        if (!_blockNumbers.TryGetValue(block, out int number))
        {
            number = _blocks.Count;
            _blocks.Add(block);
            _blockNumbers.Add(block, number);
        }

        return number;
    }
}
