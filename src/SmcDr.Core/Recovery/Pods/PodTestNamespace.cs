using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>The namespace in which clusters are recovered to be looked at and thrown away, and what killed tests have left in it.</summary>
internal sealed class PodTestNamespace(KubernetesClient client, string name, HelperPodOptions helper, IOperationObserver observer)
{
    public const string Purpose = "recovery-test";
    private const string ManagerLabel = "app.kubernetes.io/managed-by";
    private const string Manager = "smcdr";

    // Between an object of a test and its pod lie seconds. One without a pod is left over when that is long over, whatever the clocks say.
    private static readonly TimeSpan s_young = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan s_endTime = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan s_accountTime = TimeSpan.FromSeconds(30);

    private bool _isUsable;
    private bool _isOwn;

    /// <summary>The labels of what a test makes.</summary>
    public static JsonObject Labels(string test) => new()
    {
        [ManagerLabel] = Manager, [HelperPod.PurposeLabel] = Purpose, [HelperPod.WorkloadLabel] = test,
    };

    /// <summary>Makes the namespace where it is not there, and removes what is left over in it.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ResourceConflict"/>: it is there for something else.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        KubernetesObject? there = await client.TryGetAsync(KubernetesResource.Namespaces, null, name, cancellationToken).ConfigureAwait(false);
        if (there?.DeletionTime is not null)
        {
            observer.Verbose($"The namespace '{name}' is being deleted; it is waited for.");
            await client.WaitUntilGoneAsync(KubernetesResource.Namespaces, null, name, there.Uid, s_endTime, cancellationToken).ConfigureAwait(false);
            there = null;
        }

        if (there is null)
        {
            JsonObject labels = new() { [ManagerLabel] = Manager, [HelperPod.PurposeLabel] = Purpose };
            there = await client.CreateAsync(
                KubernetesResource.Namespaces,
                new KubernetesObject(new JsonObject
                {
                    ["apiVersion"] = "v1",
                    ["kind"] = "Namespace",
                    ["metadata"] = new JsonObject { ["name"] = name, ["labels"] = labels },
                }),
                dryRun: false,
                cancellationToken).ConfigureAwait(false);
            (_isUsable, _isOwn) = (true, true);
            // No pod is admitted before its account is there.
            KubernetesResource accounts = (await client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false)).Get("v1", "ServiceAccount");
            await client.WaitAsync(accounts, name, "default", static account => account is not null, s_accountTime, cancellationToken).ConfigureAwait(false);
        }
        else if (there.Labels.GetValueOrDefault(HelperPod.PurposeLabel) != Purpose)
        {
            throw new SmcException(
                SmcErrorCode.ResourceConflict,
                $"The namespace '{name}' is there and is not marked as one for tests of recovery.",
                recommendation: $"Name another one, or mark it where nothing else is in it: kubectl label namespace {name} {HelperPod.PurposeLabel}={Purpose}",
                target: name);
        }

        (_isUsable, _isOwn) = (true, there.Labels.GetValueOrDefault(ManagerLabel) == Manager);
        await SweepAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes a test's objects, and the namespace where it was made here and no other test is in it; nothing where it was not opened.</summary>
    public async Task CloseAsync(string test, string? uid, CancellationToken cancellationToken)
    {
        if (!_isUsable)
        {
            return;
        }

        await RemoveAsync(test, uid, cancellationToken).ConfigureAwait(false);
        if (!_isOwn || await ListAsync(cancellationToken).AnyAsync(cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        await client.DeleteAsync(KubernetesResource.Namespaces, null, name, null, cancellationToken).ConfigureAwait(false);
        await client.WaitUntilGoneAsync(KubernetesResource.Namespaces, null, name, null, s_endTime, cancellationToken).ConfigureAwait(false);
    }

    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        List<KubernetesObject> sets = await ListAsync(cancellationToken).ToListAsync(cancellationToken).ConfigureAwait(false);
        foreach (KubernetesObject set in sets)
        {
            WorkloadName workload = new(WorkloadKind.StatefulSet, set.Name);
            string pod = HelperPod.NameOf(workload);
            bool hasPod = await client.TryGetAsync(KubernetesResource.Pods, name, pod, cancellationToken).ConfigureAwait(false) is not null;
            bool isLeft = set.DeletionTime is not null || HelperPod.IsLeftHere(set.Annotations.GetValueOrDefault(HelperPod.HolderAnnotation));
            if (!hasPod && !isLeft && DateTimeOffset.UtcNow - set.CreationTime < s_young)
            {
                continue;
            }

            try
            {
                await HelperPod.RemoveLeftOverAsync(client, name, pod, workload, helper, observer, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.OperationInProgress)
            {
                observer.Verbose($"Another test is at work in the namespace '{name}', and is left alone: {e.Message}");
                continue;
            }

            observer.Verbose($"'{set.Name}' in the namespace '{name}' was left by a test that has ended; it is removed.");
            await RemoveAsync(set.Name, set.Uid, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What a test has made goes with its StatefulSet, which owns it. The data is waited for.</summary>
    private async Task RemoveAsync(string test, string? uid, CancellationToken cancellationToken)
    {
        KubernetesResource sets = await ClusterWorkloads.ResourceOfAsync(client, WorkloadKind.StatefulSet, cancellationToken).ConfigureAwait(false);
        ResourceCatalog catalog = await client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false);
        KubernetesResource claims = catalog.Get("v1", "PersistentVolumeClaim");
        List<KubernetesObject> own = await client
            .ListAsync(claims, name, new ListOptions { LabelSelector = $"{HelperPod.WorkloadLabel}={test}" }, cancellationToken)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        await client.DeleteAsync(sets, name, test, new DeleteOptions { Uid = uid }, cancellationToken).ConfigureAwait(false);
        await client.DeleteAsync(
            catalog.Get("networking.k8s.io/v1", "NetworkPolicy"), name, test, new DeleteOptions(), cancellationToken).ConfigureAwait(false);
        foreach (KubernetesObject claim in own)
        {
            await client.DeleteAsync(claims, name, claim.Name, new DeleteOptions { Uid = claim.Uid }, cancellationToken).ConfigureAwait(false);
        }

        foreach (KubernetesObject claim in own)
        {
            await client.WaitUntilGoneAsync(claims, name, claim.Name, claim.Uid, s_endTime, cancellationToken).ConfigureAwait(false);
        }
    }

    private async IAsyncEnumerable<KubernetesObject> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        KubernetesResource sets = await ClusterWorkloads.ResourceOfAsync(client, WorkloadKind.StatefulSet, cancellationToken).ConfigureAwait(false);
        await foreach (KubernetesObject set in client.ListAsync(
            sets, name, new ListOptions { LabelSelector = $"{HelperPod.PurposeLabel}={Purpose}" }, cancellationToken).ConfigureAwait(false))
        {
            yield return set;
        }
    }
}
