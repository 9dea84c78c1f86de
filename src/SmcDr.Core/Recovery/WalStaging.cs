using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery;

/// <summary>
/// Brings the WAL that a recovery needs to the folder from which <see cref="RecoveryScripts.RestoreWal"/> serves it, in the order in which
/// it is replayed, so that the server replays what is there while the rest still comes.
/// </summary>
internal sealed class WalStaging : IAsyncDisposable
{
    private const string Activity = "Stage WAL";
    private const string PartialPrefix = ".partial-";

    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(5);
    private readonly WalArchive _archive;
    private readonly IStagingFolder _folder;
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _rest = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private Task _completion = Task.CompletedTask;
    private volatile bool _failed;

    public WalStaging(WalArchive archive, IStagingFolder folder)
    {
        _archive = archive;
        _folder = folder;
    }

    /// <summary>Ends when so much is there that the server may be started, or as <see cref="Completion"/> where that never happens.</summary>
    public Task First => _first.Task;

    /// <summary>Ends when all is there, with the error where something could not be brought.</summary>
    public Task Completion => _completion;

    /// <summary>Whether something could not be brought, as the server is told; <see cref="Completion"/> ends at once then.</summary>
    public bool HasFailed => _failed;

    /// <summary>
    /// Lets what is not needed for the start come as well. Until then only that comes: while the files of the base backup are restored every processor is at
    /// work, and while one server process replays, all others have nothing to do.
    /// </summary>
    public void FetchRest() => _rest.TrySetResult();

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
            await _folder.DeleteAsync(RecoveryScripts.ListName, over.Token).ConfigureAwait(false);
            await _folder.DeleteAsync(RecoveryScripts.FailedName, over.Token).ConfigureAwait(false);
            await _folder.BeatAsync(0, over.Token).ConfigureAwait(false);
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
            _failed = !complete;
            await SignOffAsync(complete).ConfigureAwait(false);
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
            await _folder.WriteAsync(name, Encoding.UTF8.GetString(history.Content.Span), cancellationToken).ConfigureAwait(false);
            names.Add(name);
        }

        // The server takes the next number for which no history is found (timeline.c, findNewestTimeLine): not one that an earlier
        // recovery took, or two servers would archive other WAL by the same names. It opens these and never reads them, because it
        // is told to follow another timeline.
        foreach (uint taken in takenTimelines)
        {
            string name = TimelineHistory.FileName(taken);
            await _folder.WriteAsync(name, "# This timeline is taken.\n", cancellationToken).ConfigureAwait(false);
            names.Add(name);
        }

        // A segment that was unfinished at an earlier run ends with zeros and may be longer by now.
        HashSet<string> there = [.. await _folder.ListAsync(cancellationToken).ConfigureAwait(false)];
        foreach (string marker in there.Where(static name => name.StartsWith(PartialPrefix, StringComparison.Ordinal)).ToList())
        {
            string name = marker[PartialPrefix.Length..];
            await _folder.DeleteAsync(name, cancellationToken).ConfigureAwait(false);
            await _folder.DeleteAsync(marker, cancellationToken).ConfigureAwait(false);
            there.Remove(name);
        }

        // Before the first segment: of each that PostgreSQL asks for, also of timelines on which it is not, the answer is known now.
        names.AddRange(items.Select(static item => item.Name.ToString()));
        await _folder.WriteAsync(RecoveryScripts.ListName, string.Concat(names.Select(static n => n + "\n")), cancellationToken).ConfigureAwait(false);
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
                if (index >= firstCount)
                {
                    await _rest.Task.WaitAsync(token).ConfigureAwait(false);
                }

                if (!there.Contains(name))
                {
                    if (item.IsPartial)
                    {
                        await _folder.WriteAsync(PartialPrefix + name, "", token).ConfigureAwait(false);
                    }

                    await _folder.FetchAsync(_archive, item, token).ConfigureAwait(false);
                }

                observer.Progress(new OperationProgress(Activity, name, Interlocked.Add(ref done, item.Length), total));
                if (index < firstCount && Interlocked.Decrement(ref missing) == 0)
                {
                    _first.TrySetResult();
                }
            }).ConfigureAwait(false);
        await _folder.SyncAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task SignOffAsync(bool complete)
    {
        try
        {
            if (!complete)
            {
                await _folder.WriteAsync(RecoveryScripts.FailedName, "", CancellationToken.None).ConfigureAwait(false);
            }

            // After the mark of a failure, so that nobody is seen to be staging who is not.
            await _folder.DeleteAsync(RecoveryScripts.HeartbeatName, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SmcException)
        {
            // Without a sign of life nobody waits for long, and what ended the work is what is to be told.
        }
    }

    private async Task KeepBeatingAsync(CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(s_heartbeat);
        for (long beat = 1; await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false); beat++)
        {
            await _folder.BeatAsync(beat, cancellationToken).ConfigureAwait(false);
        }
    }
}
