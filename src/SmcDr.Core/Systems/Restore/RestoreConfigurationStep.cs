using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Restores the Kubernetes configuration, and keeps from starting what has no data yet.</summary>
internal sealed class RestoreConfigurationStep(SitePlanContext context, SystemRestoreIntent intent, IReadOnlyList<string> after)
    : SystemRestoreStep(context, intent)
{
    public override string Key => SystemRestore.ConfigurationKey;

    public override string Title => "Restore configuration";

    public override string Target => Cluster;

    public override IReadOnlyList<string> After => after;

    public override long? SizeBytes => Intent.Configuration!.SizeBytes;

    public override string Describe() => $"Restore the backup {Intent.Configuration!.Id}; what is there and differs is changed back." +
        (Held() is { Count: > 0 } held ? $" Not started by it: {string.Join(", ", held.Keys)}." : "");

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        PartRecord part = await BeginAsync(context, cancellationToken).ConfigureAwait(false);
        using KubernetesClient client = await ConnectAsync(context, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await Context.Repository
            .OpenBackupAsync(Component.Configuration, Intent.Configuration!.Id, cancellationToken).ConfigureAwait(false);
        ConfigurationTally tally = new();
        await foreach (ConfigurationRestoreResult result in ConfigurationRestore
            .RunAsync(client, backup, new ConfigurationRestoreOptions { Held = Held() }, context.Observer, cancellationToken).ConfigureAwait(false))
        {
            tally.Add(result);
            if (result.State is "Failed" or "NeedsReplace")
            {
                context.Observer.Warning($"{result}: {result.Error ?? result.Detail}");
            }
        }

        if (tally.ToError(backup.Header.Id, isPlan: false) is { } error)
        {
            throw error;
        }

        int claims = 0;
        foreach (string workload in Servers())
        {
            claims += await StatefulSetClaims.EnsureAsync(
                client, Site.GetKubernetes().Namespace, WorkloadName.Parse(workload), cancellationToken).ConfigureAwait(false);
        }

        await EndAsync(context, part, null, cancellationToken).ConfigureAwait(false);
        return $"{backup.Header.Id}: {tally.Describe(isPlan: false)}{(claims > 0 ? FormattableString.Invariant($", {claims} volume claims made") : "")}.";
    }

    /// <summary>The workloads whose data is restored behind this.</summary>
    private IEnumerable<string> Servers() => new[]
    {
        Intent.Database is null ? null : Site.PrimaryRegion.Database?.Workload,
        Intent.Redis is null ? null : Site.PrimaryRegion.Redis?.Workload,
    }.OfType<string>();

    private Dictionary<WorkloadName, string> Held()
    {
        Dictionary<WorkloadName, string> held = Intent.Writers.Select(WorkloadName.Parse).ToDictionary(static name => name, static _ => Suspension.ByRecovery);
        foreach (string server in Servers())
        {
            held[WorkloadName.Parse(server)] = Suspension.ByRestore;
        }

        return held;
    }
}
