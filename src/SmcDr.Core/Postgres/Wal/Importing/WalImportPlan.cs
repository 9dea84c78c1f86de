using System.Globalization;
using System.IO.Enumeration;

namespace SmcDr.Core.Postgres.Wal.Importing;

/// <summary>What is in a directory that is to be imported. Made from the names of its files, and the head of one segment.</summary>
public sealed class WalImportPlan
{
    private const int MaximumHistoryBytes = 1 << 20;

    private WalImportPlan(WalImportOptions options, IReadOnlyList<WalFile> files, WalPageHeader? head)
    {
        Options = options;
        Files = files;
        Head = head;
    }

    /// <summary>What was asked for.</summary>
    public WalImportOptions Options { get; }

    /// <summary>The number of files of whole segments.</summary>
    public int SegmentCount => Count(WalFileKind.Segment);

    /// <summary>The number of files of partial segments.</summary>
    public int PartialCount => Count(WalFileKind.Partial);

    /// <summary>The number of history files.</summary>
    public int HistoryCount => Count(WalFileKind.History);

    /// <summary>The number of files of a kind that is not known.</summary>
    public int UnknownCount => Count(WalFileKind.Unknown);

    /// <summary>What the files take as they are, in bytes.</summary>
    public long FileBytes => Files.Where(static file => file.Kind is WalFileKind.Segment or WalFileKind.Partial).Sum(static file => file.Length);

    /// <summary>The cluster of the first segment that can be read; null where none can.</summary>
    public ulong? SystemId => Head?.SystemId;

    internal IReadOnlyList<WalFile> Files { get; }

    internal WalPageHeader? Head { get; }

    /// <summary>Looks at the directory.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: it cannot be listed, or holds no WAL.</exception>
    public static async Task<WalImportPlan> CreateAsync(WalImportOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        string path = Path.GetFullPath(options.Path);
        List<WalFile> files;
        try
        {
            EnumerationOptions enumeration = new()
            {
                RecurseSubdirectories = options.Recurse,
                AttributesToSkip = FileAttributes.None,
                IgnoreInaccessible = false,
            };
            files = [.. new FileSystemEnumerable<WalFile>(
                path, static (ref FileSystemEntry entry) => WalFile.Of((FileInfo)entry.ToFileSystemInfo()), enumeration)
            {
                ShouldIncludePredicate = static (ref FileSystemEntry entry) => !entry.IsDirectory,
                // A link may lead out of the directory, or round in circles.
                ShouldRecursePredicate = static (ref FileSystemEntry entry) => (entry.Attributes & FileAttributes.ReparsePoint) == 0,
            }.OrderBy(static file => file.Path, StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, $"The directory '{path}' cannot be listed: {e.Message}", e, target: path);
        }

        if (!files.Exists(static file => file.Kind is WalFileKind.Segment or WalFileKind.Partial or WalFileKind.History))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"There is no write-ahead log in the directory '{path}'.",
                recommendation: options.Recurse
                    ? "Give the directory that the archive_command writes to."
                    : "Give the directory that the archive_command writes to; add -Recurse (or --recurse) where it is spread over directories.",
                target: path);
        }

        WalPageHeader? head = null;
        foreach (WalFile file in files.Where(static file => file.Kind is WalFileKind.Segment or WalFileKind.Partial)
            .OrderBy(static file => file.Kind).ThenBy(static file => file.Segment.ToString(), StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if ((head = await ReadHeadAsync(file, cancellationToken).ConfigureAwait(false)) is not null)
            {
                break;
            }
        }

        return new WalImportPlan(options with { Path = path }, files, head);
    }

    /// <summary>The plan in one sentence.</summary>
    public string Describe() => string.Create(
        CultureInfo.InvariantCulture,
        $"{SegmentCount} WAL segments, {PartialCount} partial ones and {HistoryCount} history files ({DisplayText.Size(FileBytes)})" +
        $"{(SystemId is { } id ? $" of the database cluster {id}" : "")} in {Options.Path}");

    internal static async Task<byte[]> ReadHistoryAsync(WalFile file, CancellationToken cancellationToken)
    {
        byte[] content = await file.ReadAsync(MaximumHistoryBytes, cancellationToken).ConfigureAwait(false);
        return content.Length <= MaximumHistoryBytes ? content : throw new SmcException(
            SmcErrorCode.WalInvalid, $"The file '{file.Path}' is too long for the history of a timeline.", target: file.Path);
    }

    private static async Task<WalPageHeader?> ReadHeadAsync(WalFile file, CancellationToken cancellationToken)
    {
        try
        {
            byte[] bytes = await file.ReadAsync(WalPageHeader.LongLength, cancellationToken).ConfigureAwait(false);
            return bytes.Length >= WalPageHeader.LongLength && WalPageHeader.Read(bytes) is { IsLong: true, MajorVersion: not null } head &&
                head.SegmentSize <= 1 << 30 && WalSegmentName.IsSegmentSize((int)head.SegmentSize)
                    ? head
                    : null;
        }
        catch (SmcException)
        {
            // It is refused when its turn comes.
            return null;
        }
    }

    private int Count(WalFileKind kind) => Files.Count(file => file.Kind == kind);
}
