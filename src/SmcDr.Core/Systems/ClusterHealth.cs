using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems;

/// <summary>Whether a region's cluster answers, and runs what the system is made of.</summary>
internal sealed class ClusterHealth(Site site, KubernetesSettings settings, TimeProvider clock)
{
    private static readonly WorkloadKind[] s_kinds = [WorkloadKind.Deployment, WorkloadKind.StatefulSet, WorkloadKind.DaemonSet];

    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        KubernetesClient? client = null;
        CheckRun cluster = new(settings.Context ?? settings.Kubeconfig ?? "the cluster", clock);
        try
        {
            CheckResult reached = await cluster.CheckAsync("ClusterReachable", async () =>
            {
                client = await settings.ConnectAsync(NullObserver.Instance, cancellationToken).ConfigureAwait(false);
                string version = await client.GetVersionAsync(cancellationToken).ConfigureAwait(false);
                return CheckFinding.Passed($"'{client.Access.Display}' answers, with Kubernetes {version}.");
            }).ConfigureAwait(false);
            yield return reached;
            CheckRun space = new(settings.Namespace, clock);
            if (reached.Outcome == CheckOutcomes.Failed)
            {
                yield return cluster.Skip("NodesReady", "ClusterReachable did not pass.");
                yield return space.Skip("Pods", "ClusterReachable did not pass.");
                yield return space.Skip("Workload", "ClusterReachable did not pass.");
                yield break;
            }

            yield return await cluster.CheckAsync("NodesReady", () => CheckNodesAsync(client!, cancellationToken)).ConfigureAwait(false);
            yield return await space.CheckAsync("Pods", () => CheckPodsAsync(client!, cancellationToken)).ConfigureAwait(false);
            ClusterWorkloads workloads = new(client!, settings.Namespace);
            foreach (WorkloadName name in await FindWorkloadsAsync(client!, cancellationToken).ConfigureAwait(false))
            {
                yield return await new CheckRun($"{name} in {settings.Namespace}", clock)
                    .CheckAsync("Workload", () => CheckWorkloadAsync(workloads, name, cancellationToken)).ConfigureAwait(false);
            }
        }
        finally
        {
            client?.Dispose();
        }
    }

    private static async Task<CheckFinding> CheckNodesAsync(KubernetesClient client, CancellationToken cancellationToken)
    {
        List<string> problems = [];
        int count = 0;
        KubernetesResource nodes = (await client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false)).Get("v1", "Node");
        try
        {
            await foreach (KubernetesObject node in client.ListAsync(nodes, null, null, cancellationToken).ConfigureAwait(false))
            {
                count++;
                JsonNode? ready = (node.Raw["status"]?["conditions"] as JsonArray ?? []).FirstOrDefault(static each => (string?)each?["type"] == "Ready");
                if ((string?)ready?["status"] != "True")
                {
                    problems.Add($"{node.Name} ({KubeText.Clean((string?)ready?["message"], 200)})");
                }
            }
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ClusterForbidden)
        {
            return CheckFinding.Skipped("The account may not list nodes.");
        }

        return problems.Count == 0
            ? CheckFinding.Passed(string.Create(CultureInfo.InvariantCulture, $"All {count} nodes are ready."))
            // What runs elsewhere may do for all that is needed: the workloads tell.
            : problems.Count < count ? CheckFinding.Warning($"Not ready: {string.Join(", ", problems)}.", "Look at the nodes: kubectl describe node.")
            : CheckFinding.Failed($"No node is ready: {string.Join(", ", problems)}.", "Look at the nodes: kubectl describe node.");
    }

    private async Task<CheckFinding> CheckPodsAsync(KubernetesClient client, CancellationToken cancellationToken)
    {
        List<string> problems = [];
        int count = 0;
        await foreach (KubernetesObject pod in client.ListAsync(KubernetesResource.Pods, settings.Namespace, null, cancellationToken).ConfigureAwait(false))
        {
            // What has ended, such as a Job's, does nothing any more.
            if ((string?)pod.Raw["status"]?["phase"] is "Succeeded" or "Failed")
            {
                continue;
            }

            count++;
            if (pod.DeletionTime is null && !PodTrouble.IsReady(pod))
            {
                problems.Add($"{pod.Name} ({PodTrouble.Describe(pod)})");
            }
        }

        return count == 0
            ? CheckFinding.Warning($"The namespace '{settings.Namespace}' has no pods.", "Restore the configuration, or start what was stopped.")
            : problems.Count == 0 ? CheckFinding.Passed(string.Create(CultureInfo.InvariantCulture, $"All {count} pods are ready."))
            : CheckFinding.Warning(
                $"Not ready: {string.Join(", ", problems.Take(10))}{(problems.Count > 10 ? ", and others" : "")}.", "Look at them: kubectl describe pod.");
    }

    /// <summary>What the site names, and all else that the namespace has.</summary>
    private async Task<IReadOnlyList<WorkloadName>> FindWorkloadsAsync(KubernetesClient client, CancellationToken cancellationToken)
    {
        HashSet<WorkloadName> found = [.. Named()];
        foreach (WorkloadKind kind in s_kinds)
        {
            KubernetesResource resource = await ClusterWorkloads.ResourceOfAsync(client, kind, cancellationToken).ConfigureAwait(false);
            try
            {
                await foreach (KubernetesObject item in client.ListAsync(resource, settings.Namespace, null, cancellationToken).ConfigureAwait(false))
                {
                    found.Add(new WorkloadName(kind, item.Name));
                }
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ClusterForbidden)
            {
                // Then those that the site names are looked at.
            }
        }

        return [.. found.OrderBy(static name => name.ToString(), StringComparer.Ordinal)];
    }

    private IEnumerable<WorkloadName> Named() => site.Writers
        .Concat(new[] { site.PrimaryRegion.Database?.Workload, site.PrimaryRegion.Redis?.Workload }.OfType<string>())
        .Select(WorkloadName.Parse);

    private string Scale(WorkloadName name) => $"kubectl --namespace {settings.Namespace} scale {name} --replicas=";

    private async Task<CheckFinding> CheckWorkloadAsync(ClusterWorkloads workloads, WorkloadName name, CancellationToken cancellationToken)
    {
        WorkloadInfo info = await workloads.GetAsync(name, cancellationToken).ConfigureAwait(false);
        return info.State switch
        {
            "Running" => CheckFinding.Passed(info.Replicas is { } replicas
                ? string.Create(CultureInfo.InvariantCulture, $"{info.ReadyCount} of {replicas} are ready.")
                : "It is at work."),
            "Suspended" => CheckFinding.Failed(
                $"It is stopped since {DisplayText.Time(info.SuspendedTime)} ({info.SuspendedBy}).",
                site.Writers.Contains(name.ToString())
                    ? "Finish what has stopped it; else Resume-SmcWorkload (or 'smcdr workload resume') starts it again."
                    : $"Finish what has stopped it (Resume-SmcPlan, 'smcdr plan resume'); else: {Scale(name)}{info.RememberedReplicas}"),
            // Somebody may want it so, where the system does not depend on it.
            "Stopped" when !Named().Contains(name) => CheckFinding.Passed("It is scaled to none."),
            "Stopped" or "Stopping" => CheckFinding.Failed("It is scaled to none.", $"Scale it: {Scale(name)}…"),
            _ => CheckFinding.Failed(
                string.Create(CultureInfo.InvariantCulture, $"{info.ReadyCount} of {info.Replicas} are ready."),
                $"Look at its pods: kubectl --namespace {settings.Namespace} describe {name}"),
        };
    }
}
