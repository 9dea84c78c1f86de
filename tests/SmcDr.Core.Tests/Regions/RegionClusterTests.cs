using System.Text.Json;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Postgres.BaseBackups;

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
                await DeployWriterAsync(cluster, region);
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
            await DeleteWriterAsync(cluster, cluster.Namespace);
            await cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, west, null, default);
        }
    }

    [ClusterFact]
    public async Task Failover_ClustersDoNotAnswer_TheOldOneIsLeftBehindAndTheNewOneIsWaitedFor()
    {
        await DeployWriterAsync(cluster, cluster.Namespace);
        try
        {
            await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
            string kubeconfig = Path.Combine(lab.Root, "kubeconfig");
            string unreachable = Path.Combine(lab.Root, "unreachable");
            await File.WriteAllTextAsync(unreachable, $$"""
                apiVersion: v1
                kind: Config
                clusters: [ { name: gone, cluster: { server: "https://127.0.0.1:{{PostgresServer.FreePort()}}", insecure-skip-tls-verify: true } } ]
                users: [ { name: nobody, user: { token: none } } ]
                contexts: [ { name: gone, context: { cluster: gone, user: nobody } } ]
                current-context: gone
                """);
            File.Copy(ClusterFixture.Kubeconfig!, kubeconfig);
            PostgresPrograms.GiveToServer(kubeconfig);
            PostgresPrograms.GiveToServer(unreachable);
            Task WriteAsync(string west) => lab.WriteSiteAsync(
                "east",
                "writers: [ deployment/region-writer ]",
                region => $"kubernetes: {{ kubeconfig: {(region == "east" ? unreachable : west)}, namespace: {cluster.Namespace} }}");
            await Workloads(cluster.Namespace).SuspendAsync(WorkloadName.Parse("deployment/region-writer"), default);
            await WriteAsync(unreachable);
            await lab.Primary.KillAsync();

            // The database has its new primary, whoever cannot start the writers.
            (int exitCode, string _, string error) = await lab.RunAsync("region", "failover", "--yes");
            Assert.Equal(SmcErrors.Get(SmcErrorCode.ClusterUnavailable).ExitCode, exitCode);
            Assert.Contains("The writers in 'east' could not be stopped", error, StringComparison.Ordinal);
            Assert.False(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
            Assert.False((await lab.LookAsync("west")).GetProperty("clusterReachable").GetBoolean());

            await WriteAsync(kubeconfig);
            JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");
            Assert.Equal("AlreadyDone", RegionFailoverTests.StateOf(steps, "promote-database"));
            Assert.Equal("deployment/region-writer Running.", RegionFailoverTests.DetailOf(steps, "resume-writers"));
            Assert.Equal(1L, (await lab.LookAsync("west")).GetProperty("epoch").GetInt64());
        }
        finally
        {
            await DeleteWriterAsync(cluster, cluster.Namespace);
        }
    }

    [ClusterFact]
    public async Task Failover_PodsOfTheOldRegionDoNotGo_AllWritersAreToldToStopAndItIsNotHeldUp()
    {
        // As on nodes that are dead while the API answers.
        string[] writers = ["stuck-one", "stuck-two"];
        try
        {
            foreach (string writer in writers)
            {
                await DeployWriterAsync(cluster, cluster.Namespace, name: writer, isDeaf: true);
            }

            await using RegionLab lab = await RegionLab.StartAsync();
            string kubeconfig = Path.Combine(lab.Root, "kubeconfig");
            File.Copy(ClusterFixture.Kubeconfig!, kubeconfig);
            PostgresPrograms.GiveToServer(kubeconfig);
            await lab.WriteSiteAsync(
                "east",
                $"writers: [ {string.Join(", ", writers.Select(static writer => $"deployment/{writer}"))} ]\nobjectives: {{ database: {{ rto: 60s, rpo: 60s }} }}",
                region => region == "east" ? $"kubernetes: {{ kubeconfig: {kubeconfig}, namespace: {cluster.Namespace} }}" : "");
            foreach (string writer in writers)
            {
                await RegionLab.UntilAsync(
                    async () => (await Workloads(cluster.Namespace).GetAsync(WorkloadName.Parse($"deployment/{writer}"), default)).State == "Running", writer);
            }

            await lab.SucceedAsync("backup", "database");
            lab.StartStream();
            await lab.SucceedAsync(lab.InitArguments());
            await lab.UntilWestHasAsync(2000);
            await lab.Primary.KillAsync();

            JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

            string stopped = RegionFailoverTests.DetailOf(steps, "suspend-writers");
            Assert.Contains("Not all of them stopped", stopped, StringComparison.Ordinal);
            Assert.All(writers, writer => Assert.Contains($"Pods of 'deployment/{writer}'", stopped, StringComparison.Ordinal));
            foreach (string writer in writers)
            {
                WorkloadInfo info = await Workloads(cluster.Namespace).GetAsync(WorkloadName.Parse($"deployment/{writer}"), default);
                Assert.Equal(("Stopping", 0, 1, 1), (info.State, info.Replicas, info.PodCount, info.RememberedReplicas));
            }

            Assert.Equal(2000L, await lab.AskWestAsync<long>("SELECT count(*) FROM t"));
            Assert.Equal(
                "Met", RegionFailoverTests.Step(steps, "report-failover").GetProperty("failover").GetProperty("rtoVerdict").GetString());
        }
        finally
        {
            foreach (string writer in writers)
            {
                await DeleteWriterAsync(cluster, cluster.Namespace, writer);
            }

            await foreach (KubernetesObject pod in cluster.Client.ListAsync(KubernetesResource.Pods, cluster.Namespace))
            {
                if (writers.Any(writer => pod.Name.StartsWith(writer, StringComparison.Ordinal)))
                {
                    await cluster.Client.DeleteAsync(
                        KubernetesResource.Pods, cluster.Namespace, pod.Name, new DeleteOptions { GracePeriod = TimeSpan.Zero }, default);
                }
            }
        }
    }

    [ClusterFact]
    public async Task ResumeWriters_OneIsGoneAndOneDoesNotGetReady_TheOthersAreStartedAllTheSame()
    {
        WorkloadName good = WorkloadName.Parse("deployment/resume-good");
        WorkloadName stuck = WorkloadName.Parse("deployment/resume-stuck");
        RecordingObserver observer = new();
        try
        {
            await DeployWriterAsync(cluster, cluster.Namespace, name: good.Name);
            await DeployWriterAsync(cluster, cluster.Namespace, name: stuck.Name, image: "smcdr.invalid/nothing:1");
            await Workloads(cluster.Namespace).SuspendAsync(good, default);
            await Workloads(cluster.Namespace).SuspendAsync(stuck, default);

            // What stands last is started first.
            using CancellationTokenSource stop = new();
            Task<string> resuming = ResumeAsync($"{good}, {stuck}", observer, stop.Token);
            await RegionLab.UntilAsync(async () => (await Workloads(cluster.Namespace).GetAsync(good, default)).State == "Running", "the good one runs");
            Assert.Equal("NotReady", (await Workloads(cluster.Namespace).GetAsync(stuck, default)).State);
            Assert.False(resuming.IsCompleted);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => resuming);

            await Workloads(cluster.Namespace).SuspendAsync(good, default);
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => ResumeAsync($"{good}, deployment/resume-gone", observer, default));
            Assert.Equal(SmcErrorCode.ResourceNotFound, e.Code);
            Assert.Contains(observer.Warnings, static warning => warning.StartsWith("'deployment/resume-gone' did not come up", StringComparison.Ordinal));
            Assert.Equal("Running", (await Workloads(cluster.Namespace).GetAsync(good, default)).State);
        }
        finally
        {
            await DeleteWriterAsync(cluster, cluster.Namespace, good.Name);
            await DeleteWriterAsync(cluster, cluster.Namespace, stuck.Name);
        }
    }

    private async Task<string> ResumeAsync(string writers, RecordingObserver observer, CancellationToken cancellationToken)
    {
        SitePlanContext context = new()
        {
            Site = SiteFile.Parse(
                $$"""
                name: writers
                repository: { location: "file:///srv/repository" }
                writers: [ {{writers}} ]
                regions:
                  east: { role: primary }
                  west: { role: standby, kubernetes: { kubeconfig: {{ClusterFixture.Kubeconfig}}, namespace: {{cluster.Namespace}} } }
                """,
                "/etc/smcdr.yaml"),
            Secrets = new SecretResolver(),
            Repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default),
            Observer = observer,
        };
        RegionFailoverIntent intent = new() { From = "east", To = "west", Epoch = 1, SystemId = "1", Timeline = 1 };
        return await new ResumeWritersStep(new FailoverWork(context, intent)).ActAsync(
            new StepContext(ResumeWritersStep.StepKey, null, false, new StepOutputs(), static (_, _) => Task.CompletedTask, observer), cancellationToken);
    }

    private ClusterWorkloads Workloads(string @namespace) => new(cluster.Client, @namespace, new WorkloadOptions(), NullObserver.Instance);

    /// <summary>Makes a workload that stands for what writes to a region's database.</summary>
    internal static async Task DeployWriterAsync(
        ClusterFixture cluster, string @namespace, int replicas = 1, string name = "region-writer", bool isDeaf = false, string image = "busybox:1.35")
    {
        string script = isDeaf ? "trap '' TERM; while :; do sleep 1; done" : "exec sleep 100000";
        Assert.True(await cluster.Client.WaitAsync(
            new KubernetesResource { Version = "v1", Plural = "serviceaccounts", Kind = "ServiceAccount", IsNamespaced = true },
            @namespace, "default", static account => account is not null, TimeSpan.FromSeconds(60), default));
        await cluster.Client.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(cluster.Client, WorkloadKind.Deployment, default),
            ClusterFixture.Parse($$$$$"""
                {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{{{{name}}}}}","namespace":"{{{{{@namespace}}}}}"},
                "spec":{"replicas":{{{{{replicas}}}}},"selector":{"matchLabels":{"app":"{{{{{name}}}}}"}},
                "template":{"metadata":{"labels":{"app":"{{{{{name}}}}}"}},"spec":{"terminationGracePeriodSeconds":{{{{{(isDeaf ? 600 : 1)}}}}},
                "containers":[{"name":"main","image":"{{{{{image}}}}}","imagePullPolicy":"IfNotPresent","command":["sh","-c","{{{{{script}}}}}"]}]}}}}
                """),
            false,
            default);
    }

    /// <summary>Deletes it, with its pods.</summary>
    internal static async Task DeleteWriterAsync(ClusterFixture cluster, string @namespace, string name = "region-writer") =>
        await cluster.Client.DeleteAsync(
            await ClusterWorkloads.ResourceOfAsync(cluster.Client, WorkloadKind.Deployment, default), @namespace, name, null, default);
}
