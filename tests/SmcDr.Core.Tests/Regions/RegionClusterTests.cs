using System.Text.Json;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;

namespace SmcDr.Core.Tests.Regions;

/// <summary>A failover whose writers are workloads of a real cluster: two namespaces are the regions, and the databases are on this host.</summary>
[Collection(ClusterGroup.Name)]
public sealed class RegionClusterTests(ClusterFixture cluster)
{
    [ClusterFact]
    public async Task Failover_PlannedWithWriters_TheyAreStoppedInTheOldRegionAndStartedInTheNew()
    {
        string west = cluster.Namespace + "-west";
        KubernetesObject place = ClusterFixture.Parse($$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{west}}}"}}""");
        await cluster.Client.CreateAsync(KubernetesResource.Namespaces, place, false, default);
        try
        {
            foreach (string region in new[] { cluster.Namespace, west })
            {
                await DeployWriterAsync(region);
            }

            await using RegionLab lab = await RegionLab.StartAsync();
            // The kubeconfig is root's alone, and smcdr runs as the server's account.
            string kubeconfig = Path.Combine(lab.Root, "kubeconfig");
            File.Copy(ClusterFixture.Kubeconfig!, kubeconfig);
            PostgresPrograms.GiveToServer(kubeconfig);
            await lab.WriteSiteAsync(
                "east",
                "writers: [ deployment/region-writer ]",
                region => $"kubernetes: {{ kubeconfig: {kubeconfig}, namespace: {(region == "east" ? cluster.Namespace : west)} }}");
            // At rest nothing writes in the region that stands by.
            await Workloads(west).SuspendAsync(WorkloadName.Parse("deployment/region-writer"), default);
            await lab.SucceedAsync("backup", "database");
            lab.StartStream();
            await lab.SucceedAsync(lab.InitArguments());
            JsonElement before = await lab.LookAsync("west");
            Assert.True(before.GetProperty("clusterReachable").GetBoolean());
            Assert.True(before.GetProperty("canTakeOver").GetBoolean());

            JsonElement steps = await lab.SucceedAsync("region", "failover", "--planned", "--yes");

            Assert.Equal("Stopped: deployment/region-writer.", RegionFailoverTests.DetailOf(steps, "suspend-writers"));
            Assert.Equal("deployment/region-writer Running.", RegionFailoverTests.DetailOf(steps, "resume-writers"));
            Assert.Equal("Suspended", (await Workloads(cluster.Namespace).GetAsync(WorkloadName.Parse("deployment/region-writer"), default)).State);
            Assert.Equal("Running", (await Workloads(west).GetAsync(WorkloadName.Parse("deployment/region-writer"), default)).State);
        }
        finally
        {
            await cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, west, null, default);
        }
    }

    private ClusterWorkloads Workloads(string @namespace) => new(cluster.Client, @namespace, new WorkloadOptions(), NullObserver.Instance);

    private async Task DeployWriterAsync(string @namespace)
    {
        Assert.True(await cluster.Client.WaitAsync(
            new KubernetesResource { Version = "v1", Plural = "serviceaccounts", Kind = "ServiceAccount", IsNamespaced = true },
            @namespace, "default", static account => account is not null, TimeSpan.FromSeconds(60), default));
        await cluster.Client.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(cluster.Client, WorkloadKind.Deployment, default),
            ClusterFixture.Parse($$$$$"""
                {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"region-writer","namespace":"{{{{{@namespace}}}}}"},
                "spec":{"replicas":1,"selector":{"matchLabels":{"app":"region-writer"}},"template":{"metadata":{"labels":{"app":"region-writer"}},
                "spec":{"terminationGracePeriodSeconds":1,
                "containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sh","-c","exec sleep 100000"]}]}}}}
                """),
            false,
            default);
    }
}
