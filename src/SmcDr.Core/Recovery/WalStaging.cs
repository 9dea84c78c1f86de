using System.Globalization;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Recovery;

/// <summary>Brings the WAL that a recovery needs to the folder from which <see cref="RecoveryScripts.RestoreWal"/> serves it.</summary>
internal sealed class WalStaging
{
    private const string Activity = "Stage WAL";
    private const UnixFileMode FileMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(5);
    private readonly WalArchive _archive;
    private readonly string _directory;
    private readonly OsAccount? _account;

    public WalStaging(WalArchive archive, string directory, OsAccount? account)
    {
        _archive = archive;
        _directory = directory;
        _account = account;
    }

    /// <summary>
    /// Stages all of it. Whoever asks meanwhile waits, because something is being staged; afterwards what is not there is surely
    /// absent; and after a failure nothing is decided any more.
    /// </summary>
    public async Task RunAsync(
        IReadOnlyList<WalItem> items,
        IReadOnlyList<TimelineHistory> histories,
        IReadOnlyList<uint> takenTimelines,
        int parallelism,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        File.Delete(PathOf(RecoveryScripts.CompleteName));
        File.Delete(PathOf(RecoveryScripts.FailedName));
        await BeatAsync(0, cancellationToken).ConfigureAwait(false);
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task heartbeat = KeepBeatingAsync(over.Token);
        bool complete = false;
        try
        {
            await StageAsync(items, histories, takenTimelines, parallelism, observer, cancellationToken).ConfigureAwait(false);
            complete = true;
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await heartbeat.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!complete)
            {
                Write(RecoveryScripts.FailedName, "");
            }

            observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
        }
    }

    private async Task StageAsync(
        IReadOnlyList<WalItem> items,
        IReadOnlyList<TimelineHistory> histories,
        IReadOnlyList<uint> takenTimelines,
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

        names.AddRange(items.Select(static item => item.Name.ToString()));
        long total = items.Sum(static item => item.Length);
        long done = 0;
        await Parallel.ForEachAsync(
            items,
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellationToken },
            async (item, token) =>
            {
                string name = item.Name.ToString();
                string path = PathOf(name);
                if (!File.Exists(path))
                {
                    if (item.IsPartial)
                    {
                        Write(".partial-" + name, "");
                    }

                    await _archive.FetchAsync(item, path, token).ConfigureAwait(false);
                    Give(path);
                }

                observer.Progress(new OperationProgress(Activity, name, Interlocked.Add(ref done, item.Length), total));
            }).ConfigureAwait(false);
        Posix.SyncDirectory(_directory);
        Write(RecoveryScripts.CompleteName, string.Concat(names.Select(static n => n + "\n")));
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
