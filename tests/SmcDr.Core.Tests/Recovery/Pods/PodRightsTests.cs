using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Jobs;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Tests.Kubernetes;

namespace SmcDr.Core.Tests.Recovery.Pods;

/// <summary>The accounts of docs/kubernetes may do what they are for, and nothing else.</summary>
public sealed class PodRightsTests(PodLab lab) : IClassFixture<PodLab>
{
    [ClusterFact]
    public async Task Accounts_OfTheManifests_MayDoWhatTheyAreFor()
    {
        foreach (string use in new[] { "backup", "workloads", "restore" })
        {
            await ApplyAsync(use);
        }

        PodDatabase database = await lab.StartAsync("rights");
        WorkloadName writer = await lab.StartWriterAsync("rights-writer");
        await database.ExecuteAsync("CREATE TABLE public.kept AS SELECT 1 AS id");

        using KubernetesClient workloads = As("workloads");
        Assert.Equal("Suspended", (await new ClusterWorkloads(workloads, lab.Namespace).SuspendAsync(writer, default)).State);
        Assert.Equal(1, (await new ClusterWorkloads(workloads, lab.Namespace).ResumeAsync(writer, wait: false, default)).Replicas);
        SmcException refused = await Assert.ThrowsAsync<SmcException>(
            () => workloads.RunAsync(database.Target, ["true"], default));
        Assert.Equal(SmcErrorCode.ClusterForbidden, refused.Code);

        PostgresConnector connector = new(
            $"Host=rights.{lab.Namespace};Username=postgres;Database=postgres",
            PodLab.GivePassword,
            new ClusterRoute(lab.Namespace, database.Workload, true, _ => Task.FromResult(As("backup"))));
        await BaseBackup.RunAsync(connector, database.Repository, new BaseBackupOptions(), NullObserver.Instance, default);
        using KubernetesClient backup = As("backup");
        refused = await Assert.ThrowsAsync<SmcException>(() => new ClusterWorkloads(backup, lab.Namespace).SuspendAsync(writer, default));
        Assert.Equal(SmcErrorCode.ClusterForbidden, refused.Code);

        ClusterWriters writers = new(
            [writer], lab.Namespace, _ => Task.FromResult(As("restore")), new WorkloadOptions { Reason = Suspension.ByRecovery }, NullObserver.Instance);
        RecoveryResult result = await PodDatabase.RecoverAsync(database.Request(RecoveryTarget.Latest, writers) with { Connect = _ => Task.FromResult(As("restore")) });
        using KubernetesClient restore = As("restore");
        refused = await Assert.ThrowsAsync<SmcException>(() => restore.GetAsync(KubernetesResource.Secrets, lab.Namespace, "any", default));

        Assert.Equal(2, result.Timeline);
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM public.kept"));
        Assert.Equal(SmcErrorCode.ClusterForbidden, refused.Code);
    }

    [ClusterFact]
    public async Task AccountOfRestores_MayRestoreRedisOnItsClaim()
    {
        await ApplyAsync("restore");
        PodRedis redis = await PodRedis.CreateAsync(lab, "rights-redis");

        RedisRestoreResult result = await (await redis.OfflineAsync(connect: _ => Task.FromResult(As("restore")))).RunAsync(NullObserver.Instance, default);

        Assert.Equal(("Complete", true, RedisRestoreMethod.Offline), (result.State, result.Verified, result.Method));
        Assert.Equal(redis.Digest, await redis.DigestAsync());
        Assert.Equal(("Running", 1), ((await redis.InfoAsync()).State, (await redis.InfoAsync()).Replicas));
    }

    [ClusterFact]
    public async Task AccountOfJobs_MayStartFollowAndRemoveThem()
    {
        await ApplyAsync("jobs");
        using KubernetesClient client = As("jobs");
        JobSpec spec = new()
        {
            Name = "rights-job", Namespace = lab.Namespace, Title = "nothing", Image = "busybox:1.35", Arguments = [], SiteText = "{}", SiteLabel = "rights",
            ServiceAccount = "smcdr-pod",
        };

        // Its image is one of root, which the node refuses: all but the reading of a log is needed for that.
        foreach (Func<ClusterJob, Task> run in new Func<ClusterJob, Task>[]
        {
            static job => job.RunAsync<BackupInfo>(static _ => Task.CompletedTask, default),
            static job => job.DeployAsync<WalStreamStatus>(static _ => true, TimeSpan.FromMinutes(4), default),
        })
        {
            SmcException failure = await Assert.ThrowsAsync<SmcException>(() => run(new ClusterJob(client, spec, new JobOptions(), NullObserver.Instance)));
            Assert.Equal(SmcErrorCode.PodNotStarted, failure.Code);
            Assert.Contains("runAsNonRoot", failure.Message, StringComparison.Ordinal);
        }

        Assert.Null(await lab.Cluster.Client.TryGetAsync(
            (await lab.Cluster.Client.GetCatalogAsync(false, default)).Get("apps/v1", "Deployment"), lab.Namespace, spec.Name, default));
        Assert.Equal(
            SmcErrorCode.ClusterForbidden,
            (await Assert.ThrowsAsync<SmcException>(() => client.GetAsync(KubernetesResource.Secrets, lab.Namespace, "any", default))).Code);
    }

    private KubernetesClient As(string use) => RightsManifest.As(lab.Cluster.Client, lab.Namespace, $"smcdr-{use}");

    private Task ApplyAsync(string use) => RightsManifest.ApplyAsync(lab.Cluster.Client, use, ("smc-trading", lab.Namespace));
}
