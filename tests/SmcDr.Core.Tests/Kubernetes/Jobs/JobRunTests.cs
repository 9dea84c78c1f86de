using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Cli;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Recovery.Pods;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Kubernetes.Jobs;

/// <summary>Commands in pods of a real cluster, told and followed from outside.</summary>
public sealed class JobRunTests(ITestOutputHelper output) : IAsyncLifetime
{
    private readonly JobLab _lab = new();

    public Task InitializeAsync() => _lab.InitializeAsync();

    public Task DisposeAsync() => _lab.DisposeAsync();

    [ImageFact]
    public async Task Backup_OfADatabaseInAPod_ComesBackAsTheSameResult()
    {
        await JobLab.LoadImageAsync();
        await _lab.CreateStorageAsync("store");
        PodDatabase database = await _lab.Pods.StartAsync("orders");
        await database.ExecuteAsync("CREATE TABLE public.trades AS SELECT generate_series(1, 5000) AS id");
        string site = await _lab.WriteSiteAsync("orders", "orders", "store");

        CliRun backup = await JobLab.RunAsync(site, "backup", "database", "--label=-from a pod-");
        output.WriteLine(backup.Out + backup.Error);
        Assert.Equal(0, backup.ExitCode);
        BackupInfo result = ResultJson.Deserialize<BackupInfo>(backup.Out);
        Assert.Equal(("Complete", "Full", "-from a pod-", true), (result.State, result.Kind, result.Label, result.Encrypted));
        Assert.Equal("file:///backups/orders", result.Repository);
        Assert.True(result.DurationSeconds > 0);
        Assert.Contains("Base backup", backup.Error, StringComparison.Ordinal);

        KubernetesObject job = Assert.Single(await _lab.JobsOfAsync("orders"));
        Assert.True(await _lab.Client.WaitAsync(
            (await _lab.Client.GetCatalogAsync(false, default)).Get("batch/v1", "Job"), _lab.Namespace, job.Name,
            static now => (int?)now?.Raw["status"]?["succeeded"] == 1, TimeSpan.FromMinutes(1), default));
        Assert.DoesNotContain("not-so-secret", job.Raw.ToJsonString(), StringComparison.Ordinal);
        KubernetesObject map = await _lab.Client.GetAsync(
            KubernetesResource.ConfigMaps, _lab.Namespace, (string)job.Raw["spec"]!["template"]!["spec"]!["volumes"]![0]!["configMap"]!["name"]!, default);
        Assert.Equal(job.Uid, (string?)map.Metadata!["ownerReferences"]![0]!["uid"]);

        // On the same server, and by the same image: PostgreSQL's own programs in a pod.
        CliRun tested = await JobLab.RunAsync(site, "test", "recovery");
        output.WriteLine(tested.Out + tested.Error);
        Assert.Equal(0, tested.ExitCode);
        RecoveryTestResult test = ResultJson.Deserialize<RecoveryTestResult>(tested.Out);
        Assert.Equal(("Passed", result.Id), (test.Outcome, test.BackupId));
        Assert.Contains(test.Tables, static table => table is { Table: "trades", RowCount: 5000 });

        CliRun dumped = await JobLab.RunAsync(site, "backup", "database", "--method", "logical");
        output.WriteLine(dumped.Out + dumped.Error);
        Assert.Equal(0, dumped.ExitCode);
        BackupInfo dump = ResultJson.Deserialize<BackupInfo>(dumped.Out);
        Assert.Equal(("Complete", "Logical"), (dump.State, dump.Kind));
        Assert.Contains("postgres", dump.Databases);
    }

    [ImageFact]
    public async Task BackupConfiguration_ByTheAccountOfTheManifests_HoldsTheNamespace()
    {
        await JobLab.LoadImageAsync();
        await _lab.CreateStorageAsync("store");
        await _lab.GiveConfigurationRightsAsync();
        string site = await _lab.WriteSiteAsync("configured", "nobody", "store", serviceAccount: "smcdr-pod");

        CliRun backup = await JobLab.RunAsync(site, "backup", "configuration");
        output.WriteLine(backup.Out + backup.Error);

        Assert.Equal(0, backup.ExitCode);
        BackupInfo result = ResultJson.Deserialize<BackupInfo>(Assert.Single(backup.Json.EnumerateArray()));
        Assert.Equal(("Complete", "Configuration", true), (result.State, result.Component, result.Encrypted));
        Assert.Equal([_lab.Namespace], result.Namespaces);
        // The Secret, the claim, the accounts and their bindings, and what of the cluster they need.
        Assert.True(result.FileCount > 8, backup.Out);
    }

    [ImageFact]
    public async Task WalStream_AsADeployment_StreamsFromThenOn_AndIsLeftAsItIsWhenAskedForAgain()
    {
        await JobLab.LoadImageAsync();
        await _lab.CreateStorageAsync("store");
        PodDatabase database = await _lab.Pods.StartAsync("stream");
        string site = await _lab.WriteSiteAsync("stream", "stream", "store");
        KubernetesResource deployments = (await _lab.Client.GetCatalogAsync(false, default)).Get("apps/v1", "Deployment");

        CliRun started = await JobLab.RunAsync(site, "wal", "stream");
        output.WriteLine(started.Out + started.Error);
        Assert.Equal(0, started.ExitCode);
        Assert.Equal("Streaming", ResultJson.Deserialize<WalStreamStatus>(started.Out).State);
        KubernetesObject deployment = await _lab.Client.GetAsync(deployments, _lab.Namespace, "smcdr-wal-stream-stream", default);

        // What the server was told is durable is in the repository.
        await database.ExecuteAsync("CREATE TABLE public.trades AS SELECT generate_series(1, 5000) AS id");
        Lsn written = await database.FlushedLsnAsync();
        DateTimeOffset limit = DateTimeOffset.UtcNow.AddMinutes(2);
        while (await database.ScalarAsync<bool>($"SELECT coalesce(max(flush_lsn) < '{written}', true) FROM pg_stat_replication"))
        {
            Assert.True(DateTimeOffset.UtcNow < limit, "The stream does not get there.");
            await Task.Delay(500);
        }

        CliRun again = await JobLab.RunAsync(site, "wal", "stream");
        Assert.Equal(0, again.ExitCode);
        KubernetesObject same = await _lab.Client.GetAsync(deployments, _lab.Namespace, deployment.Name, default);
        Assert.Equal((deployment.Uid, deployment.Generation), (same.Uid, same.Generation));

        // A stream with its own end meets the claim of the one that runs.
        CliRun once = await JobLab.RunAsync(site, "wal", "stream", "--once");
        output.WriteLine(once.Error);
        Assert.Contains("Id:    SmcStreamRunning", once.Error, StringComparison.Ordinal);

        await _lab.Client.DeleteAsync(deployments, _lab.Namespace, deployment.Name, new DeleteOptions { Propagation = DeletePropagation.Foreground }, default);
        await _lab.Client.WaitUntilGoneAsync(deployments, _lab.Namespace, deployment.Name, null, TimeSpan.FromMinutes(2), default);
        CliRun last = await JobLab.RunAsync(site, "wal", "stream", "--once");
        output.WriteLine(last.Out + last.Error);
        Assert.Equal(0, last.ExitCode);
    }

    [ImageFact]
    public async Task Stop_LeavesTheJobAtWork_AndEndsItWhereThatIsAskedFor()
    {
        await JobLab.LoadImageAsync();
        await _lab.CreateStorageAsync("store");
        await _lab.Pods.StartAsync("stopped");
        foreach (bool isCancelled in new[] { false, true })
        {
            string name = isCancelled ? "ends" : "goes-on";
            string directory = await _lab.WriteSiteAsync(name, "stopped", "store");
            using CancellationTokenSource stop = new();
            RecordingObserver observer = new();
            // A stream to a position that never comes is a Job that does not end by itself.
            IReadOnlyList<SiteJob> jobs = SiteFile.Load(directory).CreateJobs(JobCommand.WalStream, ["--until=FFFFFFFF/0", "--slot", ""], [], observer);
            Assert.False(Assert.Single(jobs).IsDeployment);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SiteJobs.RunAsync<WalStreamStatus>(
                jobs,
                isCancelled,
                status => status.State == "Streaming" ? stop.CancelAsync() : Task.CompletedTask,
                observer,
                stop.Token));

            IReadOnlyList<KubernetesObject> left = await _lab.JobsOfAsync(name);
            if (isCancelled)
            {
                Assert.Empty(left);
            }
            else
            {
                Assert.Equal(1, (int?)Assert.Single(left).Raw["status"]?["active"]);
                Assert.Contains(observer.Warnings, warning => warning.Contains($"logs -f job/{jobs[0].Spec.Name}", StringComparison.Ordinal));
            }
        }
    }

    [ClusterFact]
    public async Task PodThatDoesNotStart_IsTold_AndNothingIsLeft()
    {
        await _lab.CreateStorageAsync("store");
        string directory = await _lab.WriteSiteAsync("none", "nobody", "store", image: "smcdr-is-not-there:0");
        IReadOnlyList<SiteJob> jobs = SiteFile.Load(directory).CreateJobs(JobCommand.BackupDatabase, [], [], NullObserver.Instance);
        SiteJob job = jobs[0] with { Spec = jobs[0].Spec with { StartTimeout = TimeSpan.FromSeconds(60) } };

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => SiteJobs.RunAsync<BackupInfo>([job], false, static _ => Task.CompletedTask, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.PodNotStarted, failure.Code);
        Assert.Contains("smcdr-is-not-there", failure.Message, StringComparison.Ordinal);
        Assert.Empty(await _lab.JobsOfAsync("none"));
    }

    [ClusterFact]
    public async Task ImageThatRunsAsRoot_IsRefusedByTheNode_AndNothingIsLeft()
    {
        await _lab.CreateStorageAsync("store");
        string directory = await _lab.WriteSiteAsync("root", "nobody", "store", image: "busybox:1.35");
        IReadOnlyList<SiteJob> jobs = SiteFile.Load(directory).CreateJobs(JobCommand.BackupDatabase, [], [], NullObserver.Instance);

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => SiteJobs.RunAsync<BackupInfo>(
                jobs, false, static _ => Task.CompletedTask, NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.PodNotStarted, failure.Code);
        Assert.Contains("runAsNonRoot", failure.Message, StringComparison.Ordinal);
        Assert.Empty(await _lab.JobsOfAsync("root"));
    }
}
