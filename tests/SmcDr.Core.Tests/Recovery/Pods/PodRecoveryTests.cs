using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Recovery.Pods;

/// <summary>Databases in StatefulSets of a real cluster, backed up and recovered from outside.</summary>
public sealed class PodRecoveryTests(PodLab lab, ITestOutputHelper output) : IClassFixture<PodLab>
{
    private readonly RecordingObserver _observer = new();

    [ClusterFact]
    public async Task ExecuteAsync_DroppedTable_ComesBack_AndTheOldDataIsKept()
    {
        PodDatabase database = await lab.StartAsync("dropped");
        WorkloadName writer = await lab.StartWriterAsync("dropped-writer");
        DateTimeOffset time = await database.LoseTableAsync();
        ClusterWriters writers = new(
            [writer], lab.Namespace, _ => Task.FromResult(new KubernetesClient(lab.Cluster.Client.Access)),
            new WorkloadOptions { Reason = Suspension.ByRecovery }, NullObserver.Instance);
        PodRecoveryRequest request = database.Request(RecoveryTarget.AtTime(time), writers);

        PodRecoveryPlan plan = await PodRecovery.PlanAsync(request, NullObserver.Instance, default);
        string[] lines = [.. plan.Describe()];
        WorkloadInfo untouched = await database.InfoAsync();
        SmcException unforced = await Assert.ThrowsAsync<SmcException>(() => PodRecovery.PlanAsync(
            request with { Recovery = request.Recovery with { Force = false } }, NullObserver.Instance, default));
        RecoveryResult result = await PodRecovery.ExecuteAsync(plan, _observer, default);
        RecoveryResult again = await PodDatabase.RecoverAsync(request with { Recovery = request.Recovery with { Force = false } });
        output.WriteLine($"{result}\n{string.Join('\n', _observer.Verboses)}");

        Assert.True(plan.IsSeen);
        Assert.Contains(lines, static line => line.Contains("'statefulset/dropped'", StringComparison.Ordinal) && line.Contains("to 0", StringComparison.Ordinal));
        Assert.Contains(lines, static line => line.Contains("'data-dropped-0'", StringComparison.Ordinal));
        Assert.Equal(("Running", null), (untouched.State, untouched.SuspendedTime));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, unforced.Code);
        Assert.Equal(2100L, await database.ScalarAsync<long>("SELECT count(*) FROM public.trades"));
        Assert.False(await database.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal((2, "statefulset/dropped", true), (result.Timeline, result.Workload, result.ServerRunning));
        Assert.StartsWith(database.DataDirectory + ".before-", result.PreviousDataDirectory, StringComparison.Ordinal);
        Assert.Contains("PG_VERSION", await database.ShellAsync($"ls '{result.PreviousDataDirectory}'"), StringComparison.Ordinal);
        Assert.DoesNotContain("SmcDr recovery", await database.ShellAsync($"cat {database.DataDirectory}/postgresql.auto.conf"), StringComparison.Ordinal);
        Assert.Equal("postgres 700\n", await database.ShellAsync($"stat -c '%U %a' {database.DataDirectory}"));
        Assert.False(await database.HasHelperAsync());
        Assert.Equal(("Running", 1, null), ((await database.InfoAsync()).State, (await database.InfoAsync()).Replicas, (await database.InfoAsync()).SuspendedTime));
        Assert.Equal(1, (await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).GetAsync(writer, default)).Replicas);
        Assert.Equal(result.PreviousDataDirectory, again.PreviousDataDirectory);
    }

    [ClusterFact]
    public async Task ExecuteAsync_InterruptedAfterEachPhase_GoesOn_AndNothingIsLostMeanwhile()
    {
        PodDatabase database = await lab.StartAsync("interrupted");
        DateTimeOffset time = await database.LoseTableAsync(500);
        PodRecoveryRequest request = database.Request(RecoveryTarget.AtTime(time));
        foreach (RecoveryPhase at in new[] { RecoveryPhase.Fetched, RecoveryPhase.Configured, RecoveryPhase.Recovered, RecoveryPhase.Cleaned })
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => PodDatabase.RecoverAsync(
                request, null, phase => _ = phase == at ? throw new InvalidOperationException("Interrupted.") : phase));

            Assert.False(await database.HasHelperAsync());
            Assert.Equal(("Suspended", 1), ((await database.InfoAsync()).State, (await database.InfoAsync()).RememberedReplicas));
        }

        // Whoever goes back instead finds the database as it was.
        await ResumeAsync(database);
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM public.later"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => PodDatabase.RecoverAsync(
            request, null, static phase => _ = phase == RecoveryPhase.Moved ? throw new InvalidOperationException("Interrupted.") : phase));
        RecoveryResult result = await PodDatabase.RecoverAsync(request);

        Assert.True(result.Resumed);
        Assert.Equal(600L, await database.ScalarAsync<long>("SELECT count(*) FROM public.trades"));
        Assert.Equal("1\n", await database.ShellAsync($"ls -d {database.DataDirectory}.before-* | wc -l"));
        Assert.Equal((2, "Running"), (result.Timeline, (await database.InfoAsync()).State));
    }

    [ClusterTheory]
    [InlineData("root")]
    [InlineData("part")]
    public async Task ExecuteAsync_DataDirectoryThatIsMountedItself_IsRecoveredToo(string mode)
    {
        PodDatabase database = await lab.StartAsync($"mounted-{mode}", mode);
        DateTimeOffset time = await database.LoseTableAsync(300);

        RecoveryResult result = await PodDatabase.RecoverAsync(database.Request(RecoveryTarget.AtTime(time)), _observer);

        Assert.Equal(400L, await database.ScalarAsync<long>("SELECT count(*) FROM public.trades"));
        Assert.NotNull(result.PreviousDataDirectory);
        if (mode == "root")
        {
            Assert.Contains("PG_VERSION", await database.ShellAsync($"ls '{result.PreviousDataDirectory}'"), StringComparison.Ordinal);
            // What lies aside there is not a part of the cluster.
            BackupInfo backup = await BaseBackup.RunAsync(database.Connector, database.Repository, new BaseBackupOptions(), NullObserver.Instance, default);
            Manifest manifest = await (await database.Repository.OpenBackupAsync(Component.Database, backup.Id, default)).ReadManifestAsync(default);
            Assert.DoesNotContain(manifest.Entries, static entry => entry.Path.StartsWith("smcdr.", StringComparison.Ordinal));
        }
    }

    [ClusterFact]
    public async Task ExecuteAsync_HelperPodThatCannotBe_IsAClearError_AndTheDatabaseCanBeStartedAgain()
    {
        PodDatabase database = await lab.StartAsync("helpless");
        DateTimeOffset time = await database.LoseTableAsync(100);
        PodRecoveryRequest request = database.Request(RecoveryTarget.AtTime(time));
        KubernetesResource quotas = new() { Version = "v1", Plural = "resourcequotas", Kind = "ResourceQuota", IsNamespaced = true };
        await lab.CreateAsync(
            quotas,
            $$$"""{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"none","namespace":"{{{lab.Namespace}}}"},"spec":{"hard":{"pods":"0"} } }""");
        Assert.True(await lab.Cluster.Client.WaitAsync(
            quotas, lab.Namespace, "none", static quota => quota?.Raw["status"]?["hard"] is not null, TimeSpan.FromSeconds(60), default));
        SmcException quota = await Assert.ThrowsAsync<SmcException>(() => PodDatabase.RecoverAsync(request));
        await lab.Cluster.Client.DeleteAsync(quotas, lab.Namespace, "none", null, default);

        await SelectNodeAsync(database, "{\"smcdr\":\"nowhere\"}");
        SmcException unschedulable = await Assert.ThrowsAsync<SmcException>(() => PodDatabase.RecoverAsync(
            request with { Helper = request.Helper with { StartTimeout = TimeSpan.FromSeconds(15) } }));
        await SelectNodeAsync(database, "null");
        output.WriteLine($"{quota.Message}\n{quota.Recommendation}\n{unschedulable.Message}\n{unschedulable.Recommendation}");

        Assert.Equal(SmcErrorCode.QuotaExceeded, quota.Code);
        Assert.Contains("The data on the volume is as it was", quota.Message, StringComparison.Ordinal);
        Assert.Contains($"kubectl --namespace {lab.Namespace} scale statefulset/helpless --replicas=1", quota.Recommendation, StringComparison.Ordinal);
        Assert.Equal(SmcErrorCode.PodNotStarted, unschedulable.Code);
        Assert.Contains("no node takes it: 0/1 nodes are available", unschedulable.Message, StringComparison.Ordinal);
        Assert.False(await database.HasHelperAsync());

        await ResumeAsync(database);
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM public.later"));
        await PodDatabase.RecoverAsync(request);
        Assert.Equal(200L, await database.ScalarAsync<long>("SELECT count(*) FROM public.trades"));
    }

    [ClusterFact]
    public async Task ExecuteAsync_HelperPodThatWasLeftOrIsDeletedOrUsed_IsDealtWith()
    {
        PodDatabase database = await lab.StartAsync("left-over");
        DateTimeOffset time = await database.LoseTableAsync(100);
        PodRecoveryRequest request = database.Request(RecoveryTarget.AtTime(time));
        await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace, new WorkloadOptions { Reason = Suspension.ByRecovery })
            .SuspendAsync(database.Workload, default);
        DatabaseWorkload workload = await DatabaseWorkload.ReadAsync(lab.Cluster.Client, lab.Namespace, database.Workload, [], default);

        // Somebody is at it.
        await using (HelperPod other = await HelperPod.StartAsync(lab.Cluster.Client, workload, request.Helper, NullObserver.Instance, default))
        {
            SmcException busy = await Assert.ThrowsAsync<SmcException>(() => PodDatabase.RecoverAsync(request));
            Assert.Equal(SmcErrorCode.OperationInProgress, busy.Code);
            Assert.Contains($"process {Environment.ProcessId} on ", busy.Message, StringComparison.Ordinal);
        }

        // As a process leaves it that was killed.
        await lab.Cluster.Client.CreateAsync(
            KubernetesResource.Pods,
            workload.CreateHelper(
                HelperPod.NameOf(database.Workload),
                new System.Text.Json.Nodes.JsonObject { [HelperPod.PurposeLabel] = "restore" },
                new System.Text.Json.Nodes.JsonObject { ["smcdr/alive"] = "7", ["smcdr/holder"] = "process 1 on elsewhere" }),
            false,
            default);
        SmcException deleted = await Assert.ThrowsAsync<SmcException>(() => PodDatabase.RecoverAsync(
            request,
            _observer,
            phase => _ = phase == RecoveryPhase.Fetched
                ? lab.Cluster.Client.DeleteAsync(
                    KubernetesResource.Pods, lab.Namespace, HelperPod.NameOf(database.Workload), new DeleteOptions { GracePeriod = TimeSpan.Zero }, default).Result
                : false));
        RecoveryResult result = await PodDatabase.RecoverAsync(request);
        output.WriteLine(deleted.Message);

        Assert.Contains(_observer.Verboses, static text => text.Contains("process 1 on elsewhere", StringComparison.Ordinal));
        Assert.Contains("deleted by somebody", deleted.Message, StringComparison.Ordinal);
        Assert.True(result.Resumed);
        Assert.Equal(200L, await database.ScalarAsync<long>("SELECT count(*) FROM public.trades"));
    }

    [ClusterFact]
    public async Task RunAsync_BackupWhosePodIsDeleted_IsAClearError_AndTheNextOneFindsTheNewPod()
    {
        PodDatabase database = await lab.StartAsync("evicted");
        await database.ExecuteAsync("CREATE TABLE public.much AS SELECT i AS id, repeat(md5(i::text), 30) AS v FROM generate_series(1, 60000) AS i");
        await database.ExecuteAsync("CHECKPOINT");
        RecordingObserver deleting = new()
        {
            At = (8 << 20, () => lab.Cluster.Client.DeleteAsync(
                KubernetesResource.Pods, lab.Namespace, database.PodName, new DeleteOptions { GracePeriod = TimeSpan.Zero }, default).Wait()),
        };

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => BaseBackup.RunAsync(database.Connector, database.Repository, new BaseBackupOptions { Parallelism = 1 }, deleting, default));
        await database.WaitUntilReadyAsync();
        BackupInfo backup = await BaseBackup.RunAsync(database.Connector, database.Repository, new BaseBackupOptions(), NullObserver.Instance, default);
        output.WriteLine(failure.Message);

        Assert.Equal(SmcErrorCode.BackupInterrupted, failure.Code);
        Assert.NotEmpty(failure.Recommendation);
        Assert.Equal("Complete", backup.State);
    }

    private async Task ResumeAsync(PodDatabase database)
    {
        await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).ResumeAsync(database.Workload, wait: true, default);
        await database.WaitUntilReadyAsync();
    }

    private async Task SelectNodeAsync(PodDatabase database, string selector) => await lab.Cluster.Client.PatchAsync(
        await ClusterWorkloads.ResourceOfAsync(lab.Cluster.Client, WorkloadKind.StatefulSet, default), lab.Namespace, database.Workload.Name, PatchKind.Merge,
        System.Text.Json.Nodes.JsonNode.Parse($$$"""{"spec":{"template":{"spec":{"nodeSelector":{{{selector}}} } } } }""")!, default);
}
