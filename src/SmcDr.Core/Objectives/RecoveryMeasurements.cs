using System.Globalization;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Objectives;

/// <summary>Notes in the repository how long recoveries took, so that every operator predicts by what any of them has measured.</summary>
public static class RecoveryMeasurements
{
    private const int NewestOfOne = 5;
    private const int NewestOfSeveral = 25;

    /// <summary>Notes a recovery of a database cluster. One that was interrupted, or kept what was there, says nothing of the next one and is not noted.</summary>
    /// <param name="repository">Where it is noted. That it cannot be is told in passing: the recovery stands.</param>
    /// <param name="site">The site.</param>
    /// <param name="result">What was done.</param>
    /// <param name="observer">Hears where nothing could be noted.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static Task NoteAsync(
        this Repository repository, string site, RecoveryResult result, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(result);
        return result.Resumed || result.KeptBytes > 0 ? Task.CompletedTask : NoteAsync(
            repository,
            New(repository, site, Component.Database, null, result.BackupId, result.Workload is null ? "Host" : "Pod", result.StartTime, result.Duration, result.RestoredBytes) with
            {
                RestoreSeconds = result.RestoreSeconds,
                WalBytes = result.WalBytes,
                ReplaySeconds = result.ReplaySeconds,
                RecoveredTime = result.RecoveredTime,
            },
            observer,
            cancellationToken);
    }

    /// <summary>Notes a restore of Redis that was whole.</summary>
    /// <inheritdoc cref="NoteAsync(Repository, string, RecoveryResult, IOperationObserver, CancellationToken)"/>
    public static Task NoteAsync(
        this Repository repository, string site, RedisRestoreResult result, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(result);
        return result.State != nameof(BackupState.Complete) || result.KeysSkipped > 0 ? Task.CompletedTask : NoteAsync(
            repository,
            New(repository, site, Component.Redis, null, result.BackupId, result.Method.ToString(), result.StartTime, result.Duration, result.SizeBytes),
            observer,
            cancellationToken);
    }

    /// <summary>Notes a restore of a file store that kept nothing of what was there.</summary>
    /// <inheritdoc cref="NoteAsync(Repository, string, RecoveryResult, IOperationObserver, CancellationToken)"/>
    public static Task NoteAsync(
        this Repository repository, string site, FileStoreRestoreResult result, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(result);
        return result.State != nameof(BackupState.Complete) || result.KeptFileCount > 0 ? Task.CompletedTask : NoteAsync(
            repository,
            New(repository, site, Component.FileStore, result.Name, result.BackupId, "Host", DateTimeOffset.UtcNow - result.Duration, result.Duration, result.SizeBytes),
            observer,
            cancellationToken);
    }

    /// <summary>
    /// Notes a restore of a whole configuration that wrote nearly all of it: an account or a namespace that a cluster makes by itself is always there. One of a
    /// part, or into what was mostly right, says nothing of the next one.
    /// </summary>
    /// <param name="repository">Where it is noted. That it cannot be is told in passing: the restore stands.</param>
    /// <param name="site">The site.</param>
    /// <param name="backup">What was restored.</param>
    /// <param name="options">How.</param>
    /// <param name="tally">What became of the objects.</param>
    /// <param name="startTime">When it began, in UTC.</param>
    /// <param name="duration">How long it took.</param>
    /// <param name="observer">Hears where nothing could be noted.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static Task NoteAsync(
        this Repository repository,
        string site,
        BackupHeader backup,
        ConfigurationRestoreOptions options,
        ConfigurationTally tally,
        DateTimeOffset startTime,
        TimeSpan duration,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(backup);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(tally);
        return options.DryRun || !options.Filter.IsEmpty || tally.Failed > 0 || tally.Written == 0 || tally.Written < tally.Total * 0.9 ? Task.CompletedTask : NoteAsync(
            repository,
            New(repository, site, Component.Configuration, null, backup.Id, "Cluster", startTime, duration, backup.SizeBytes),
            observer,
            cancellationToken);
    }

    /// <summary>The newest measurements of a component, newest first. What cannot be read teaches nothing.</summary>
    internal static async Task<IReadOnlyList<RecoveryMeasurement>> ListAsync(
        Repository repository, string site, Component component, Dictionary<string, RecoveryMeasurement> known, CancellationToken cancellationToken)
    {
        string infix = $"-{RepositoryKeys.ComponentFolder(component)}-";
        List<string> keys = [];
        await foreach (ObjectInfo info in repository.Store.ListAsync(RepositoryKeys.Recoveries(site), cancellationToken).ConfigureAwait(false))
        {
            if (info.Key.Contains(infix, StringComparison.Ordinal))
            {
                keys.Add(info.Key);
            }
        }

        // File stores are several, and so are the ways to recover a database: tests on a host must not hide what a restore in the pod took.
        int newest = component is Component.FileStore or Component.Database ? NewestOfSeveral : NewestOfOne;
        List<RecoveryMeasurement> measurements = [];
        foreach (string key in keys.OrderDescending(StringComparer.Ordinal).Take(newest))
        {
            if (!known.TryGetValue(key, out RecoveryMeasurement? measurement))
            {
                try
                {
                    measurement = await repository.TryReadDocumentAsync(key, ObjectivesJson.Default.RecoveryMeasurement, cancellationToken).ConfigureAwait(false);
                }
                catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
                {
                    continue;
                }
            }

            if (measurement is not null && measurement.RepositoryId == repository.Id && measurement.Format <= Repository.FormatVersion &&
                measurement.Component == component && measurement.Seconds > 0)
            {
                known[key] = measurement;
                measurements.Add(measurement);
            }
        }

        return measurements;
    }

    private static RecoveryMeasurement New(
        Repository repository, string site, Component component, string? subject, string backup, string way, DateTimeOffset start, TimeSpan duration, long size) => new()
    {
        RepositoryId = repository.Id,
        Site = site,
        Component = component,
        Subject = subject,
        BackupId = backup,
        Way = way,
        StartTime = start,
        Seconds = duration.TotalSeconds,
        SizeBytes = size,
        Host = Environment.MachineName,
        Tool = Repository.ToolVersion,
    };

    private static async Task NoteAsync(
        Repository repository, RecoveryMeasurement measurement, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string key = string.Create(
            CultureInfo.InvariantCulture,
            $"{RepositoryKeys.Recoveries(measurement.Site)}{measurement.StartTime.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}-{RepositoryKeys.ComponentFolder(measurement.Component)}-{Guid.NewGuid().ToString("N")[..8]}");
        try
        {
            await Repository.PutDocumentAsync(
                repository.Store, key, measurement, ObjectivesJson.Default.RecoveryMeasurement, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code != SmcErrorCode.OperationStopped)
        {
            // Who restores may have no right to write, and the repository may be the one that is lost.
            observer.Verbose($"How long it took is not noted in the repository: {e.Message}");
        }
    }
}
