using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>
/// Restores a backup to a server of this host by its files: fetches the RDB beside them, stops the server without saving, moves aside what it has, puts
/// the RDB in place as what the server loads when it starts, starts it, and compares.
/// </summary>
/// <remarks>
/// With an append-only file the server looks at nothing else, so the RDB becomes its beginning: in the directory of Redis 7, or as the one file of
/// Redis 6. Nothing of the server's settings is changed for it, so whatever starts the server finds the restored data, also when this process is gone.
/// </remarks>
[UnsupportedOSPlatform("windows")]
public sealed class RedisOfflineRestore : IRedisRestore
{
    internal const string Activity = RedisOnlineRestore.Activity;

    private readonly RedisConnector _connector;
    private readonly Guid _repositoryId;
    private readonly BackupReader _backup;
    private readonly RedisOfflineOptions _options;

    /// <summary>Creates the restore; nothing is done yet.</summary>
    /// <param name="connector">The server, whether it runs or not.</param>
    /// <param name="repository">The repository that has the backup.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="options">Where the server is on this host.</param>
    public RedisOfflineRestore(RedisConnector connector, Repository repository, BackupReader backup, RedisOfflineOptions options)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(backup);
        ArgumentNullException.ThrowIfNull(options);
        (_connector, _repositoryId, _backup, _options) = (connector, repository.Id, backup, options);
    }

    /// <inheritdoc/>
    public RedisRestoreMethod Method => RedisRestoreMethod.Offline;

    private BackupHeader Header => _backup.Header;

    /// <inheritdoc/>
    public async Task<RedisRestorePlan> PlanAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        OfflineTarget target = await LookAsync(observer, cancellationToken).ConfigureAwait(false);
        return new RedisRestorePlan
        {
            BackupId = Header.Id,
            Method = Method,
            Target = _connector.Display,
            KeyCount = Header.Redis!.Content?.Keys,
            TargetKeyCount = target.Info?.Databases.Sum(static database => database.Keys),
            ReplacesData = true,
            Steps = [.. Describe(target)],
            Warnings = target.Warnings,
            SuspendFirst = target.SuspendFirst,
        };
    }

    /// <inheritdoc/>
    public async Task<RedisRestoreResult> RunAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            OfflineTarget target = await LookAsync(observer, cancellationToken).ConfigureAwait(false);
            foreach (string warning in target.Warnings.Concat(target.SuspendFirst is { } suspend ? (string[])[suspend] : []))
            {
                observer.Warning(warning);
            }

            using OfflineDirectory directory = OfflineDirectory.Open(target.Layout.DataDirectory);
            directory.Lock();
            OfflineRun run = CreateRun(directory, target, observer);
            try
            {
                return await ExecuteAsync(run, target, observer, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SmcException or PosixException or OperationCanceledException)
            {
                throw await GoBackAsync(run, e, observer).ConfigureAwait(false);
            }
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    /// <summary>Takes an interrupted restore back: what the server had before is put in its place again.</summary>
    /// <param name="connector">The server.</param>
    /// <param name="dataDirectory">Its data directory.</param>
    /// <param name="options">How it is stopped and started.</param>
    /// <param name="observer">Is told what was done.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: there is none to be taken back.</exception>
    public static async Task UndoAsync(RedisConnector connector, string dataDirectory, RedisOfflineOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        OfflinePreflight.ThrowIfUnsupported();
        using OfflineDirectory directory = OfflineDirectory.Open(dataDirectory);
        directory.Lock();
        OfflineJournal journal = directory.ReadJournal() ?? throw new SmcException(
            SmcErrorCode.TargetUnsuitable,
            $"No restore was interrupted in '{dataDirectory}', so there is nothing to take back.",
            recommendation: "What the server had before a restore that was finished lies beside its files: the names end with .before- and the time.",
            target: dataDirectory);
        OfflineServer server = new(connector, journal.Start, directory, options, observer);
        string? kept = await new OfflineRun(directory, server, journal, options, observer).UndoAsync().ConfigureAwait(false);
        observer.Verbose($"What Redis had before is back in '{dataDirectory}'.{(kept is null ? "" : $" What was restored lies in '{kept}'.")}");
    }

    /// <summary>The restore without going back, as if this process were killed wherever it fails.</summary>
    internal async Task<RedisRestoreResult> RunWithoutGoingBackAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        OfflineTarget target = await LookAsync(observer, cancellationToken).ConfigureAwait(false);
        using OfflineDirectory directory = OfflineDirectory.Open(target.Layout.DataDirectory);
        directory.Lock();
        return await ExecuteAsync(CreateRun(directory, target, observer), target, observer, cancellationToken).ConfigureAwait(false);
    }

    private RedisConnector ConnectorOf(OfflineTarget target) => target.Temporary?.Connector ?? _connector;

    private async Task<OfflineTarget> LookAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        OfflinePreflight.ThrowIfUnsupported();
        OfflineChecks.CheckBackup(Header);
        return await new OfflinePreflight(_connector, Header, _repositoryId, _options, observer).RunAsync(cancellationToken).ConfigureAwait(false);
    }

    private OfflineRun CreateRun(OfflineDirectory directory, OfflineTarget target, IOperationObserver observer)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        // Read again under the lock: another run may have ended since, or begun and been interrupted.
        OfflineJournal? interrupted = directory.ReadJournal();
        interrupted?.ThrowUnlessOf(_repositoryId, Header.Id);
        OfflineJournal journal = interrupted ?? new OfflineJournal
        {
            Phase = OfflinePhase.Begun,
            RepositoryId = _repositoryId,
            BackupId = Header.Id,
            StartTime = now,
            Layout = target.Layout,
            Start = target.Start,
            WasRunning = target.Info is not null,
            AsideSuffix = OfflineRun.CreateSuffix(directory, target.Layout, now),
        };
        OfflineServer server = new(ConnectorOf(target), target.Start, directory, _options, observer) { Input = target.Temporary?.Configuration };
        return new OfflineRun(directory, server, journal, _options, observer);
    }

    private async Task<RedisRestoreResult> ExecuteAsync(
        OfflineRun run, OfflineTarget target, IOperationObserver observer, CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        DateTimeOffset start = DateTimeOffset.UtcNow;
        if (run.Journal.Phase != OfflinePhase.Begun)
        {
            observer.Verbose($"The restore that was interrupted after the phase '{run.Journal.Phase}' is continued.");
        }

        await run.FetchAsync(_backup, target, cancellationToken).ConfigureAwait(false);
        await run.ExchangeAsync(cancellationToken).ConfigureAwait(false);
        long loading = Stopwatch.GetTimestamp();
        RedisInfo info = await run.StartAsync(cancellationToken).ConfigureAwait(false);
        double seconds = Stopwatch.GetElapsedTime(loading).TotalSeconds;
        OfflineVerification verification = new(Header, target.Layout);
        verification.Compare(info);
        // Of files that an earlier process has fetched nobody has chosen any.
        IReadOnlyList<SampledKey>? sample = run.HasFetched
            ? run.Sample
            : await OfflineSample.ReadAsync(_backup, _options.SampleSize, observer, cancellationToken).ConfigureAwait(false);
        string? notCompared = await verification.CompareAsync(ConnectorOf(target), sample, observer, cancellationToken).ConfigureAwait(false);
        if (notCompared is not null)
        {
            observer.Warning(notCompared);
        }

        if (target.Temporary is not null)
        {
            await run.EndTemporaryAsync().ConfigureAwait(false);
            observer.Warning($"The data is in place and was loaded for a look, and the server does not run: nobody said how it is started. Start it with its own configuration, and appendonly {(target.Layout.IsAppendOnly ? "yes" : "no")}.");
        }

        RedisContent? content = Header.Redis!.Content;
        foreach (string previous in run.Previous)
        {
            observer.Verbose($"What the server had before lies in '{previous}'.");
        }

        run.Complete();
        return new RedisRestoreResult
        {
            BackupId = Header.Id,
            Method = Method,
            Target = _connector.Display,
            State = verification.Problems.Count == 0 ? "Complete" : "Partial",
            KeysRestored = verification.Restored,
            KeysExpired = verification.Expired,
            KeysSkipped = 0,
            KeysFailed = verification.Failed,
            SizeBytes = content?.Bytes ?? Header.SizeBytes,
            Databases = string.Join(", ", (content?.Databases.Select(static database => database.Database) ?? info.Databases.Select(static database => database.Database)).Order()),
            Functions = (int)(info.Number("number_of_libraries") ?? 0),
            Verified = verification.Problems.Count > 0 ? false : verification.IsCompared ? true : null,
            SampledKeys = verification.SampledKeys,
            MismatchedKeys = verification.MismatchedKeys,
            WarningCount = target.Warnings.Count + (target.SuspendFirst is null ? 0 : 1) + (target.Temporary is null ? 0 : 1) + (notCompared is null ? 0 : 1),
            Problems = verification.Problems,
            SuspendFirst = target.SuspendFirst,
            StartTime = start,
            Duration = Stopwatch.GetElapsedTime(begin),
            KeysPerSecond = seconds > 0 ? verification.Restored / seconds : 0,
            BytesPerSecond = seconds > 0 ? (content?.Bytes ?? Header.SizeBytes) / seconds : 0,
        };
    }

    /// <summary>What is thrown after a failure: nothing was changed, or all is as it was, or exactly what is not.</summary>
    private static async Task<Exception> GoBackAsync(OfflineRun run, Exception failure, IOperationObserver observer)
    {
        SmcException? cause = failure as SmcException;
        if (failure is PosixException posix)
        {
            cause = new SmcException(
                posix.Error is PosixException.NoSpaceLeft or PosixException.QuotaExceeded ? SmcErrorCode.DiskSpaceInsufficient : SmcErrorCode.TargetUnsuitable,
                posix.Message,
                posix,
                target: run.Journal.Layout.DataDirectory);
        }

        // Once its files are in place, only a server that does not start with them is a reason to take them away again.
        if (run.Journal is { Phase: >= OfflinePhase.Placed, IsGoingBack: false } &&
            cause?.Code is not (SmcErrorCode.ServerStartFailed or SmcErrorCode.ServerRestarted))
        {
            observer.Warning($"The restored files are in place in '{run.Journal.Layout.DataDirectory}', and were not verified. Run the same command again to go on.");
            return cause ?? failure;
        }

        bool wasStopped = run.Journal.Phase >= OfflinePhase.Stopped;
        string? kept;
        try
        {
            kept = await run.UndoAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or PosixException)
        {
            if (wasStopped && run.Journal.Phase == OfflinePhase.Begun)
            {
                return new SmcException(
                    SmcErrorCode.RestoreUnfinished,
                    $"{failure.Message} What Redis had before is back in '{run.Journal.Layout.DataDirectory}', and the server does not run with it either: {e.Message}",
                    failure,
                    $"Correct what the message names, then run the same command again, or start the server with what it had: {run.Journal.Start.Command}",
                    run.Journal.Layout.DataDirectory);
            }

            string previous = run.Previous.Count == 0 ? "It had no files before." : $"What it had before is in {string.Join(", ", run.Previous)}, or in its place already.";
            return new SmcException(
                SmcErrorCode.RestoreUnfinished,
                $"{failure.Message} What Redis had before could not be put back either: {e.Message} {previous}",
                failure,
                $"Correct what the message names, then run the same command again: it continues. To go back by hand, give what ends with {run.Journal.AsideSuffix} its name without that, and start the server: {run.Journal.Start.Command}",
                run.Journal.Layout.DataDirectory);
        }

        if (cause is null || !wasStopped)
        {
            observer.Verbose(wasStopped ? "What Redis had before is back in its place." : "Nothing of the server was changed.");
            return cause ?? failure;
        }

        return new SmcException(
            SmcErrorCode.RestoreUndone,
            $"{cause.Message} What Redis had before is back in '{run.Journal.Layout.DataDirectory}'{(run.Journal.WasRunning ? ", and the server runs with it" : "")}." +
            (kept is null ? "" : $" What was restored may have been written to since, and lies in '{kept}'."),
            cause,
            cause.Recommendation,
            cause.Target);
    }

    private IEnumerable<string> Describe(OfflineTarget target)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        OfflineLayout layout = target.Layout;
        if (target.Interrupted is { } interrupted)
        {
            yield return string.Create(culture, $"Continue the restore of {interrupted.StartTime:yyyy-MM-dd HH:mm:ss}Z that was interrupted after the phase {interrupted.Phase}.");
        }

        string keys = Header.Redis!.Content is { } content ? string.Create(culture, $"{content.Keys:N0} keys, ") : "";
        yield return $"Fetch the RDB of backup '{Header.Id}' of {DisplayText.Time(Header.StopTime)} ({keys}{DisplayText.Size(Header.SizeBytes)}) into '{layout.DataDirectory}', and check it.";
        yield return target.Info is null
            ? $"Redis at {_connector.Display} does not run."
            : $"Stop Redis {target.Info.Version} at {_connector.Display} without saving{(target.Start.Unit is { } unit ? $" (systemctl stop {unit})" : "")}.";
        yield return $"Move aside what it has, under names that end with .before- and the time: {string.Join(", ", layout.Names)}. Nothing is deleted.";
        yield return layout.IsDirectory
            ? $"Put the RDB in place as the beginning of the append-only files in '{layout.AppendDirectoryName}'."
            : $"Put the RDB in place as '{layout.PlacedName}'.";
        yield return target.Temporary is not null
            ? "Start it for a look at what it loads, on a port of its own, and end it again: how it is started nobody has said."
            : $"Start it ({target.Start.Command}), and wait until it has loaded.";
        yield return $"Compare the number of keys in each database{(_options.SampleSize > 0 ? string.Create(culture, $", and up to {_options.SampleSize:N0} values,") : "")} with the backup.";
        if (target.Info?.Replicas.Count is > 0 and int replicas)
        {
            yield return string.Create(culture, $"{replicas} replica{(replicas == 1 ? " fetches" : "s fetch")} all data from it anew; nothing is done to {(replicas == 1 ? "it" : "them")}.");
        }

        yield return "Settings and users of the server are not part of an RDB, and stay as its own files have them.";
    }
}
