using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>Counts what a backup does and tells of what goes wrong. Safe for concurrent use.</summary>
internal sealed class FileStoreTally(string activity, IOperationObserver observer)
{
    private const int ProgressEvery = 128;

    private readonly Lock _gate = new();
    private readonly List<UnreadableFile> _unreadable = [];
    private readonly List<string> _torn = [];
    private readonly List<string> _skipped = [];
    private long _unreadableCount;
    private long _tornCount;
    private long _skippedCount;
    private long _unchangedFiles;
    private long _readFiles;
    private long _readBytes;
    private long _seenBytes;

    public void Unchanged(string path, long size)
    {
        Interlocked.Increment(ref _unchangedFiles);
        Progress(path, size);
    }

    public void Read(string path, long size)
    {
        Interlocked.Increment(ref _readFiles);
        Interlocked.Add(ref _readBytes, size);
        Progress(path, size);
    }

    public void Vanished(string path) => observer.Verbose($"'{path}' was gone before it could be read.");

    public void Unreadable(string path, PosixException e)
    {
        Note(ref _unreadableCount, _unreadable, new UnreadableFile(path, e.Reason), $"'{path}' could not be read and is not in the backup: {e.Reason}.");
    }

    public void Torn(string path) => Note(
        ref _tornCount, _torn, path, $"'{path}' was being changed each time that it was read; its content may be of different moments.");

    public void Skipped(string path, string why) => Note(ref _skippedCount, _skipped, path, $"'{path}' {why}.");

    public void Verbose(string message) => observer.Verbose(message);

    public FileStoreBackupDetails AddTo(FileStoreBackupDetails details)
    {
        lock (_gate)
        {
            return details with
            {
                UnchangedFiles = Interlocked.Read(ref _unchangedFiles),
                ReadFiles = Interlocked.Read(ref _readFiles),
                ReadBytes = Interlocked.Read(ref _readBytes),
                UnreadableCount = _unreadableCount,
                Unreadable = [.. _unreadable],
                TornCount = _tornCount,
                Torn = [.. _torn],
                SkippedCount = _skippedCount,
                Skipped = [.. _skipped],
            };
        }
    }

    private void Note<T>(ref long count, List<T> list, T item, string message)
    {
        lock (_gate)
        {
            count++;
            if (list.Count >= FileStoreBackupDetails.MaximumNames)
            {
                return;
            }

            list.Add(item);
        }

        observer.Warning(message);
    }

    private void Progress(string path, long size)
    {
        long bytes = Interlocked.Add(ref _seenBytes, size);
        if (size > 1 << 20 || (Interlocked.Read(ref _unchangedFiles) + Interlocked.Read(ref _readFiles)) % ProgressEvery == 0)
        {
            observer.Progress(new OperationProgress(activity, path, bytes));
        }
    }
}
