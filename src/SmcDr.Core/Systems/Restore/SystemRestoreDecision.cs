using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Decides what a restore brings back, and refuses one that could not be carried out. Changes nothing.</summary>
internal sealed class SystemRestoreDecision(SitePlanContext context, SystemRestoreOptions options)
{
    private readonly DateTimeOffset _now = DateTimeOffset.UtcNow;

    private Site Site => context.Site;

    private RegionSettings Region => Site.PrimaryRegion;

    public async Task<SystemRestoreIntent> DecideAsync(CancellationToken cancellationToken)
    {
        if (options.TargetTime > _now)
        {
            throw new SmcException(
                SmcErrorCode.TargetOutsideWindow, $"The instant {DisplayText.Time(options.TargetTime)} is not over yet.", target: Site.Name);
        }

        Component[] unknown = [.. options.Components.Where(component => !IsThere(component))];
        if (unknown.Length > 0 || !Enum.GetValues<Component>().Any(IsThere))
        {
            string what = unknown.Length > 0 ? unknown[0].ToString() : "component";
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The primary region '{Region.Name}' of the site '{Site.Name}' has no {what} in the site file.",
                recommendation: $"Leave it out, or add it to '{Site.Path}'.",
                target: Site.Name);
        }

        bool isInCluster = Region.Kubernetes is not null;
        if (isInCluster)
        {
            using KubernetesClient client = await Region.Kubernetes!.ConnectAsync(context.Observer, cancellationToken).ConfigureAwait(false);
            await client.GetVersionAsync(cancellationToken).ConfigureAwait(false);
        }

        SystemRestoreIntent intent = new()
        {
            DecidedTime = _now,
            TargetTime = options.TargetTime,
            Asked = [.. options.Components.Distinct().Order()],
            Writers = isInCluster ? Site.Writers : [],
            Configuration = IsWanted(Component.Configuration)
                ? await FindAsync(Component.Configuration, null, cancellationToken).ConfigureAwait(false)
                : null,
            Redis = IsWanted(Component.Redis) ? await DecideRedisAsync(cancellationToken).ConfigureAwait(false) : null,
            FileStores = IsWanted(Component.FileStore) ? await DecideFileStoresAsync(cancellationToken).ConfigureAwait(false) : [],
        };
        return IsWanted(Component.Database)
            ? intent with { Database = await DecideDatabaseAsync(intent, cancellationToken).ConfigureAwait(false) }
            : intent;
    }

    private bool IsThere(Component component) => component switch
    {
        Component.Database => Region.Database is not null,
        Component.Redis => Region.Redis is not null,
        Component.Configuration => Region.Kubernetes is not null,
        _ => Site.FileStores.Count > 0,
    };

    private bool IsWanted(Component component) => IsThere(component) && (options.Components.Count == 0 || options.Components.Contains(component));

    private async Task<ChosenDatabase> DecideDatabaseAsync(SystemRestoreIntent intent, CancellationToken cancellationToken)
    {
        RecoveryRequest request = Site.CreateRecoveryRequest(context.Repository, null) with
        {
            Target = options.TargetTime is { } time ? RecoveryTarget.AtTime(time) : RecoveryTarget.Latest,
            Force = true,
        };
        RecoverySource source = await RecoverySource.ChooseAsync(request, null, context.Observer, cancellationToken).ConfigureAwait(false);
        RecoveryPlan plan;
        if (Site.RecoversInPod(null))
        {
            plan = await PlanInPodAsync(request, source, intent.Configuration is not null, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            plan = await PlanOnHostAsync(request with { BackupId = source.Reader.Header.Id }, source, cancellationToken).ConfigureAwait(false);
        }

        (double seconds, bool isBound) = await FindLossAsync(source, cancellationToken).ConfigureAwait(false);
        return new ChosenDatabase(
            source.Reader.Header.Id, source.Details.SystemId, plan.Timeline, plan.EndLsn.ToString(), plan.RestoreBytes + plan.WalBytes, seconds, isBound);
    }

    private async Task<RecoveryPlan> PlanOnHostAsync(RecoveryRequest request, RecoverySource source, CancellationToken cancellationToken)
    {
        try
        {
            return await DatabaseRecovery.PlanAsync(request, context.Observer, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (options.ServerMayRun && e.Code == SmcErrorCode.TargetInUse)
        {
            context.Observer.Warning(
                $"{e.Message} The plan stops when it comes to restoring it, since nobody knows here what supervises that server. Stop it then, and run the " +
                "same command again: it goes on.");
            Manifest manifest = await source.Reader.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
            return await source.CreatePlanAsync(request, request.DataDirectory, manifest, RecoveryPhase.None, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<RecoveryPlan> PlanInPodAsync(
        RecoveryRequest request, RecoverySource source, bool isMadeAnew, CancellationToken cancellationToken)
    {
        try
        {
            PodRecoveryRequest inPod = Site.CreatePodRecoveryRequest(
                request with { BackupId = source.Reader.Header.Id }, context.Secrets, context.Observer);
            return (await PodRecovery.PlanAsync(inPod, context.Observer, cancellationToken).ConfigureAwait(false)).Recovery;
        }
        catch (SmcException e) when (isMadeAnew && e.Code == SmcErrorCode.ResourceNotFound)
        {
            // The configuration brings it.
            Manifest manifest = await source.Reader.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
            return await source.CreatePlanAsync(request, "", manifest, RecoveryPhase.None, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<(double Seconds, bool IsBound)> FindLossAsync(RecoverySource source, CancellationToken cancellationToken)
    {
        if (options.TargetTime is { } target)
        {
            return ((_now - target).TotalSeconds, true);
        }

        IReadOnlyList<RecoveryWindow> windows = await Site.ListWindowsAsync(
            context.Repository, context.Secrets, isOffline: false, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
        RecoveryWindow? window = windows.LastOrDefault(one => one.BackupId == source.Reader.Header.Id);
        return window is { LossSeconds: { } seconds }
            ? (seconds, false)
            : (Math.Max(0, (_now - (window?.LatestTime ?? window?.EarliestTime ?? source.Details.StopTime)).TotalSeconds), true);
    }

    private async Task<ChosenRedis> DecideRedisAsync(CancellationToken cancellationToken)
    {
        RedisSettings redis = Site.GetRedis();
        ChosenBackup backup = await FindAsync(Component.Redis, null, cancellationToken).ConfigureAwait(false);
        return new ChosenRedis(backup, redis.Workload is not null || !await IsRunningAsync(cancellationToken).ConfigureAwait(false)
            ? RedisRestoreMethod.Offline
            : RedisRestoreMethod.Online);
    }

    private async Task<bool> IsRunningAsync(CancellationToken cancellationToken)
    {
        try
        {
            RedisConnection connection = await Site.CreateRedisConnector(context.Secrets).OpenAsync(cancellationToken).ConfigureAwait(false);
            await connection.DisposeAsync().ConfigureAwait(false);
            return true;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ServerUnavailable)
        {
            return false;
        }
    }

    private async Task<IReadOnlyList<ChosenBackup>> DecideFileStoresAsync(CancellationToken cancellationToken)
    {
        List<ChosenBackup> stores = [];
        foreach (FileStoreSettings store in Site.FileStores)
        {
            stores.Add(await FindAsync(Component.FileStore, store.Name, cancellationToken).ConfigureAwait(false));
        }

        return stores;
    }

    /// <summary>The newest backup that had ended by the instant that is wanted.</summary>
    private async Task<ChosenBackup> FindAsync(Component component, string? subject, CancellationToken cancellationToken)
    {
        BackupHeader? newest = await RestoreChoice.FindAsync(
            Site, context.Repository, new ExpectedBackup(component, subject), options.TargetTime, context.Observer, cancellationToken).ConfigureAwait(false);
        if (newest is null)
        {
            string when = options.TargetTime is { } time ? $" that had ended by {DisplayText.Time(time)}" : "";
            throw new SmcException(
                SmcErrorCode.BackupNotFound,
                $"There is no backup of {SystemLoss.Name(component, subject)} of the site '{Site.Name}' in {context.Repository.Location}{when}.",
                recommendation: "Name what is to be restored without it by -Component (or --component).",
                target: Site.Name);
        }

        if (newest.IsPartial)
        {
            context.Observer.Warning($"The backup '{newest.Id}' lacks what could not be read when it was taken.");
        }

        return new ChosenBackup(newest.Id, subject, newest.StartTime, newest.SizeBytes);
    }
}
