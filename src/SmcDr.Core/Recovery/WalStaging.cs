using System.Globalization;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery;

/// <summary>
/// Brings the WAL that a recovery needs to the folder from which <see cref="RecoveryScripts.RestoreWal"/> serves it, in the order in which
/// it is replayed, so that the server replays what is there while the rest still comes.
/// </summary>
internal sealed class WalStaging : IAsyncDisposable
{
    private const string Activity = "Stage WAL";
    private const UnixFileMode FileMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(5);
    private readonly WalArchive _archive;
    private readonly string _directory;
    private readonly OsAccount? _account;
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private Task _completion = Task.CompletedTask;

    public WalStaging(WalArchive archive, string directory, OsAccount? account)
    {
        _archive = archive;
        _directory = directory;
        _account = account;
    }

    /// <summary>Ends when so much is there that the server may be started, or as <see cref="Completion"/> where that never happens.</summary>
    public Task First => _first.Task;

    /// <summary>Ends when all is there, with the error where something could not be brought.</summary>
    public Task Completion => _completion;

    /// <summary>Whether something could not be brought, as the server is told; <see cref="Completion"/> ends at once then.</summary>
    public bool HasFailed => File.Exists(PathOf(RecoveryScripts.FailedName));

    /// <summary>
    /// Begins. Whoever asks meanwhile for what is on its way waits; what is not listed is surely absent; and after a failure nothing
    /// that is missing is decided any more.
    /// </summary>
    /// <param name="items">The segments, in the order in which they are replayed.</param>
    /// <param name="histories">The histories of the timelines that are followed.</param>
    /// <param name="takenTimelines">Timelines that the recovered server must not take.</param>
    /// <param name="firstCount">How many segments must be there before the server starts.</param>
    /// <param name="parallelism">How many are fetched at a time.</param>
    /// <param name="observer">Is told progress.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Start(
        IReadOnlyList<WalItem> items,
        IReadOnlyList<TimelineHistory> histories,
        IReadOnlyList<uint> takenTimelines,
        int firstCount,
        int parallelism,
        IOperationObserver observer,
        CancellationToken cancellationToken) =>
        _completion = Task.Run(
            () => RunAsync(items, histories, takenTimelines, firstCount, parallelism, observer, cancellationToken), CancellationToken.None);

    /// <summary>Stops what is not done yet, and waits until nothing is written any more.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync(
        IReadOnlyList<WalItem> items,
        IReadOnlyList<TimelineHistory> histories,
        IReadOnlyList<uint> takenTimelines,
        int firstCount,
        int parallelism,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
        Task heartbeat = Task.CompletedTask;
        bool complete = false;
        try
        {
            File.Delete(PathOf(RecoveryScripts.ListName));
            File.Delete(PathOf(RecoveryScripts.FailedName));
            await BeatAsync(0, over.Token).ConfigureAwait(false);
            heartbeat = KeepBeatingAsync(over.Token);
            await StageAsync(items, histories, takenTimelines, firstCount, parallelism, observer, over.Token).ConfigureAwait(false);
            complete = true;
        }
        catch (Exception e)
        {
            _first.TrySetException(e);
            // Nobody need look at it: whoever waits for all of it meets the same error.
            _ = _first.Task.Exception;
            throw;
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await heartbeat.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!complete)
            {
                Write(RecoveryScripts.FailedName, "");
            }

            // After the mark of a failure, so that nobody is seen to be staging who is not.
            File.Delete(PathOf(RecoveryScripts.HeartbeatName));
            observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
        }
    }

    private async Task StageAsync(
        IReadOnlyList<WalItem> items,
        IReadOnlyList<TimelineHistory> histories,
        IReadOnlyList<uint> takenTimelines,
        int firstCount,
        int parallelism,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        List<string> names = [];
        foreach (TimelineHistory history in histories.Where(static h => h.Branches.Count > 0))
        {
            string name = TimelineHistory.FileName(history.Timeline);
            Write(name, Encoding.UTF8.GetString(history.Content.Span));
            names.Add(name);
        }

        // The server takes the next number for which no history is found (timeline.c, findNewestTimeLine): not one that an earlier
        // recovery took, or two servers would archive other WAL by the same names. It opens these and never reads them, because it
        // is told to follow another timeline.
        foreach (uint taken in takenTimelines)
        {
            string name = TimelineHistory.FileName(taken);
            Write(name, "# This timeline is taken.\n");
            names.Add(name);
        }

        // A segment that was unfinished at an earlier run ends with zeros and may be longer by now.
        foreach (string marker in Directory.GetFiles(_directory, ".partial-*"))
        {
            File.Delete(PathOf(Path.GetFileName(marker)[".partial-".Length..]));
            File.Delete(marker);
        }

        // Before the first segment: of each that PostgreSQL asks for, also of timelines on which it is not, the answer is known now.
        names.AddRange(items.Select(static item => item.Name.ToString()));
        Write(RecoveryScripts.ListName, string.Concat(names.Select(static n => n + "\n")));
        long total = items.Sum(static item => item.Length);
        long done = 0;
        int missing = Math.Min(firstCount, items.Count);
        if (missing == 0)
        {
            _first.TrySetResult();
        }

        await Parallel.ForEachAsync(
            items.Index(),
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellationToken },
            async (numbered, token) =>
            {
                (int index, WalItem item) = numbered;
                string name = item.Name.ToString();
                string path = PathOf(name);
                if (!File.Exists(path))
                {
                    if (item.IsPartial)
                    {
                        Write(".partial-" + name, "");
                    }

                    await FetchAsync(item, path, token).ConfigureAwait(false);
                }

                observer.Progress(new OperationProgress(Activity, name, Interlocked.Add(ref done, item.Length), total));
                if (index < firstCount && Interlocked.Decrement(ref missing) == 0)
                {
                    _first.TrySetResult();
                }
            }).ConfigureAwait(false);
        Posix.SyncDirectory(_directory);
    }

    /// <summary>Brings one segment. It gets its name when it is whole, durable, and the server may read it: the script looks at the name alone.</summary>
    private async Task FetchAsync(WalItem item, string path, CancellationToken cancellationToken)
    {
        string arriving = PathOf(".arriving-" + item.Name);
        await _archive.FetchAsync(item, arriving, cancellationToken).ConfigureAwait(false);
        Give(arriving);
        File.Move(arriving, path, overwrite: true);
    }

    private async Task KeepBeatingAsync(CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(s_heartbeat);
        for (long beat = 1; await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false); beat++)
        {
            await BeatAsync(beat, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task BeatAsync(long beat, CancellationToken cancellationToken)
    {
        // Not synced: it is for processes of this moment.
        string temporary = PathOf(RecoveryScripts.HeartbeatName + "-tmp");
        await File.WriteAllTextAsync(
            temporary, string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {beat}\n"), cancellationToken).ConfigureAwait(false);
        Give(temporary);
        File.Move(temporary, PathOf(RecoveryScripts.HeartbeatName), overwrite: true);
    }

    private void Write(string name, string content)
    {
        RecoveryScripts.WriteDurably(PathOf(name), Encoding.UTF8.GetBytes(content), FileMode);
        Give(PathOf(name));
    }

    /// <summary>Lets the server's group read a file of ours.</summary>
    private void Give(string path)
    {
        if (!OperatingSystem.IsWindows())
        {
            if (Posix.IsRoot && _account is { } account)
            {
                Posix.SetOwner(path, 0, account.GroupId);
            }

            File.SetUnixFileMode(path, FileMode);
        }
    }

    private string PathOf(string name) => Path.Combine(_directory, name);
}
