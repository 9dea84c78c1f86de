using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Checks the pages of relations while they are copied. The server writes beside the copy, so a page that does not fit its
/// checksum is first of all one that was read half-written, and is read again. Safe for concurrent use.
/// </summary>
/// <param name="startLsn">
/// Where the backup began. A page that was changed later is restored by the WAL as a whole (full-page images are forced during a
/// backup), so its state in the copy does not matter.
/// </param>
/// <param name="pageSize">The server's block size.</param>
/// <param name="segmentPages">Pages in one file of a relation.</param>
/// <param name="observer">Is told of damaged pages.</param>
internal sealed class PageVerifier(Lsn startLsn, int pageSize, int segmentPages, IOperationObserver observer)
{
    /// <summary>How many damaged pages are named.</summary>
    public const int MaximumNames = 1000;
    private const int MaximumWarnings = 10;

    private const int Rereads = 5;

    private readonly Lock _lock = new();
    private readonly List<string> _damaged = [];
    private int _count;

    /// <summary>How many pages are damaged.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The first of them: file and block.</summary>
    public IReadOnlyList<string> Damaged
    {
        get
        {
            lock (_lock)
            {
                return [.. _damaged.Order(StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>How long to wait before a page is read again; longer each time.</summary>
    internal TimeSpan FirstDelay { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Checks the whole pages of a range, and puts a better reading in the place of a torn one.</summary>
    /// <param name="source">Reads a page again.</param>
    /// <param name="path">The file.</param>
    /// <param name="segment">Which segment of its relation the file is.</param>
    /// <param name="offset">Where the range begins in the file; a multiple of the page size.</param>
    /// <param name="content">The range.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public ValueTask VerifyAsync(
        IFileSource source, string path, uint segment, long offset, Memory<byte> content, CancellationToken cancellationToken) =>
        VerifyAsync(source, path, segment, at => offset + at, content, cancellationToken);

    /// <summary>Checks pages that were gathered from several places of a file, and puts a better reading in the place of a torn one.</summary>
    /// <param name="source">Reads a page again.</param>
    /// <param name="path">The file.</param>
    /// <param name="segment">Which segment of its relation the file is.</param>
    /// <param name="offsetOf">Where in the file the page lies that begins at this byte of <paramref name="content"/>.</param>
    /// <param name="content">The pages.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async ValueTask VerifyAsync(
        IFileSource source, string path, uint segment, Func<int, long> offsetOf, Memory<byte> content, CancellationToken cancellationToken)
    {
        // What follows the last whole page is a file in the middle of being extended; WAL replay writes that page anew.
        List<int> suspects = [];
        for (int at = 0; at + pageSize <= content.Length; at += pageSize)
        {
            if (!PageChecksum.IsValid(content.Span.Slice(at, pageSize), NumberOf(segment, offsetOf(at))))
            {
                suspects.Add(at);
            }
        }

        // All suspects of the range together, so that a file that is damaged throughout does not take an hour.
        TimeSpan delay = FirstDelay;
        for (int i = 0; suspects.Count > 0; i++)
        {
            Lsn end = await source.GetWalEndAsync(cancellationToken).ConfigureAwait(false);
            suspects.RemoveAll(at => IsNewer(content.Span.Slice(at, pageSize), end));
            if (i == Rereads)
            {
                break;
            }

            if (suspects.Count > 0)
            {
                await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
                delay *= 2;
                await RereadAsync(source, path, segment, offsetOf, content, suspects, cancellationToken).ConfigureAwait(false);
            }
        }

        foreach (int at in suspects)
        {
            Report(path, offsetOf(at) / pageSize);
        }
    }

    private async ValueTask RereadAsync(
        IFileSource source, string path, uint segment, Func<int, long> offsetOf, Memory<byte> content, List<int> suspects,
        CancellationToken cancellationToken)
    {
        byte[] page = new byte[pageSize];
        for (int i = suspects.Count - 1; i >= 0; i--)
        {
            int at = suspects[i];
            int? length = await source.ReadAsync(path, offsetOf(at), page, cancellationToken).ConfigureAwait(false);
            if (length == pageSize)
            {
                page.CopyTo(content[at..]);
            }

            // One that was truncated or dropped meanwhile: WAL replay does the same.
            if (length != pageSize || PageChecksum.IsValid(page, NumberOf(segment, offsetOf(at))))
            {
                suspects.RemoveAt(i);
            }
        }
    }

    /// <summary>
    /// Whether a page was changed since the backup began. A position that the WAL has not reached yet was not written by the server:
    /// such a page is damaged right there.
    /// </summary>
    private bool IsNewer(ReadOnlySpan<byte> page, Lsn end) => PageChecksum.LsnOf(page) >= startLsn && PageChecksum.LsnOf(page) <= end;

    private uint NumberOf(uint segment, long offset) => (uint)((segment * (long)segmentPages) + (offset / pageSize));

    private void Report(string path, long block)
    {
        string name = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{path} block {block}");
        int count = Interlocked.Increment(ref _count);
        if (count <= MaximumNames)
        {
            lock (_lock)
            {
                _damaged.Add(name);
            }

            // A disk that dies damages thousands: the first are warned of, all are counted, and the backup ends with the number.
            Action<string> tell = count <= MaximumWarnings ? observer.Warning : observer.Verbose;
            tell($"The page '{name}' does not match its checksum: the server's copy of it is damaged. The backup goes on and names it.");
        }
    }
}
