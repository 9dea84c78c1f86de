using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Kubernetes;

[Collection(ClusterGroup.Name)]
public sealed class CronJobSchedulerTests(ClusterFixture cluster) : IDisposable
{
    private static readonly KubernetesResource s_jobs = new() { Group = "batch", Version = "v1", Plural = "jobs", Kind = "Job", IsNamespaced = true };

    private readonly TemporaryDirectory _directory = new();
    private readonly RecordingObserver _observer = new();

    public void Dispose() => _directory.Dispose();

    [ClusterFact]
    public async Task Register_TwiceChangedAndRemoved_IsExactlyWhatTheSiteSays()
    {
        await WriteSecretAsync("orders-life", "password", "x");
        Site site = WriteSite("cron-life", "database: '0 */6 * * *', redis: '0 3 * * *'", "life");

        IReadOnlyList<ScheduleInfo> first = await RegisterAsync(site);
        IReadOnlyList<ScheduleInfo> second = await RegisterAsync(site);
        KubernetesObject job = await cluster.Client.GetAsync(await ResourceAsync(), cluster.Namespace, "smcdr-cron-life-database", default);
        Site changed = WriteSite("cron-life", "database: '0 */4 * * *', runLimit: 8h", "life");
        IReadOnlyList<ScheduleInfo> third = await RegisterAsync(changed);
        KubernetesObject limited = await cluster.Client.GetAsync(await ResourceAsync(), cluster.Namespace, "smcdr-cron-life-database", default);
        IReadOnlyList<ScheduleInfo> listed = await WithClusterAsync(() => SiteSchedules.ListRegisteredAsync(changed, Options, _observer, default));
        IReadOnlyList<ScheduleInfo> removed = await WithClusterAsync(() => SiteSchedules.UnregisterAsync(changed, Options, _observer, default));

        Assert.All(first, static one => Assert.Equal("Created", one.State));
        Assert.All(second, static one => Assert.Equal("Same", one.State));
        Assert.Equal(["site Changed", "database Changed", "redis Removed"], third.Select(static one => $"{one.Task} {one.State}"));
        Assert.Equal(["database", "site"], listed.Select(static one => one.Task).Order(StringComparer.Ordinal));
        Assert.Equal(["Removed", "Removed"], removed.Select(static one => one.State));
        Assert.Equal("Forbid", (string?)job.Raw["spec"]!["concurrencyPolicy"]);
        Assert.Equal("0 */6 * * *", (string?)job.Raw["spec"]!["schedule"]);
        // One that hangs would keep all that follow from beginning.
        Assert.Equal(2 * 86_400, (long?)job.Raw["spec"]!["jobTemplate"]!["spec"]!["activeDeadlineSeconds"]);
        Assert.Equal(8 * 3600, (long?)limited.Raw["spec"]!["jobTemplate"]!["spec"]!["activeDeadlineSeconds"]);
        Assert.Equal("database", job.Annotations["smcdr/task"]);
        JsonNode container = job.Raw["spec"]!["jobTemplate"]!["spec"]!["template"]!["spec"]!["containers"]![0]!;
        Assert.Equal(
            ("300m", "402653184", "1610612736"),
            ((string?)container["resources"]!["requests"]!["cpu"], (string?)container["resources"]!["requests"]!["memory"],
            (string?)container["resources"]!["limits"]!["memory"]));
        Assert.Null(await cluster.Client.TryGetAsync(KubernetesResource.ConfigMaps, cluster.Namespace, "smcdr-cron-life", default));
    }

    [ClusterFact]
    public async Task Job_RunByTheCluster_HasTheSiteFileItsSecretsAndTheArguments()
    {
        await WriteSecretAsync("orders-run", "password", "from the cluster");
        Site site = WriteSite("cron-run", "monitor: '*/5 * * * *'", "run");
        await RegisterAsync(site);
        KubernetesObject cron = await cluster.Client.GetAsync(await ResourceAsync(), cluster.Namespace, "smcdr-cron-run-monitor", default);
        JsonObject template = (JsonObject)cron.Raw["spec"]!["jobTemplate"]!.DeepClone();
        JsonObject container = (JsonObject)template["spec"]!["template"]!["spec"]!["containers"]![0]!;
        // There is no image of smcdr here: a shell says what smcdr would have been given.
        container["command"] = new JsonArray("/bin/sh", "-c", "id -u; echo \"$@\"; cat \"$2\"; cat \"$(dirname \"$2\")/password\"; touch /tmp/x && echo writable; touch /x || echo read only", "smcdr");
        KubernetesObject job = ClusterFixture.Parse(new JsonObject
        {
            ["apiVersion"] = "batch/v1",
            ["kind"] = "Job",
            ["metadata"] = new JsonObject { ["name"] = "cron-run-by-hand", ["namespace"] = cluster.Namespace },
            ["spec"] = template["spec"]!.DeepClone(),
        }.ToJsonString());

        await cluster.Client.CreateAsync(s_jobs, job, false, default);
        bool isDone = await cluster.Client.WaitAsync(
            s_jobs, cluster.Namespace, "cron-run-by-hand",
            static one => one?.Raw["status"]?["succeeded"] is not null || one?.Raw["status"]?["failed"] is not null, TimeSpan.FromMinutes(3), default);
        string pod = "";
        await foreach (KubernetesObject one in cluster.Client.ListAsync(
            KubernetesResource.Pods, cluster.Namespace, new ListOptions { LabelSelector = "job-name=cron-run-by-hand" }))
        {
            pod = one.Name;
        }

        using StreamReader reader = new(await cluster.Client.OpenLogAsync(cluster.Namespace, pod, null, default));
        string log = await reader.ReadToEndAsync();
        await WithClusterAsync(() => SiteSchedules.UnregisterAsync(site, Options, _observer, default));

        Assert.True(isDone);
        Assert.StartsWith($"65532\n--site {site.Path} schedule run monitor\n{await File.ReadAllTextAsync(site.Path)}", log, StringComparison.Ordinal);
        Assert.Contains("from the cluster", log, StringComparison.Ordinal);
        Assert.Contains("writable\n", log, StringComparison.Ordinal);
        // Not at the end: two streams make one log, and what "touch" complained of may come behind it.
        Assert.Contains("\nread only\n", log, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task Register_TimeZoneThatTheClusterDoesNotKnow_IsRefused()
    {
        Site site = WriteSite("cron-zone", "database: '0 */6 * * *', timeZone: Asia/Tokyo", "zone");

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => RegisterAsync(site));

        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, e.Code);
        Assert.Contains("time zones", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("database: '0 */6 * * *'", "job: { image: x }, context: east", "s3://orders?region=eu-central-1", "a pod has not")]
    [InlineData("database: '0 */6 * * *'", "namespace: orders", "s3://orders?region=eu-central-1", "does not name the container image")]
    [InlineData("database: '0 */6 * * *'", "job: { image: x }", "/var/backups", "a directory of this host")]
    [InlineData("recoveryTest: '0 6 1 * *'", "job: { image: x }", "s3://orders?region=eu-central-1", "No pod can do recoveryTest")]
    [InlineData("database: '0 */6 * * *'", "job: { image: x }", "s3://orders?region=eu-central-1, encryptionKey: 'file:/etc/keys/key'", "in no directory that the jobs have")]
    public void Plan_WorkThatNoPodCanDo_IsRefusedWithTheReason(string schedules, string kubernetes, string location, string reason)
    {
        string path = Path.Combine(_directory.Path, "smcdr.yaml");
        File.WriteAllText(path, $$"""
            name: orders
            repository: { location: {{location}} }
            regions: { here: { role: primary, database: { connection: "Host=db" }, kubernetes: { {{kubernetes}} } } }
            schedules: { {{schedules}} }

            """);

        SmcException e = Assert.Throws<SmcException>(() => SiteSchedules.Plan(SiteFile.Load(path), Options));

        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, e.Code);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    private static ScheduleOptions Options { get; } = new() { Kind = ScheduleKind.CronJob };

    private Task<IReadOnlyList<ScheduleInfo>> RegisterAsync(Site site) =>
        WithClusterAsync(() => SiteSchedules.RegisterAsync(site, Options, _observer, default));

    private async Task<KubernetesResource> ResourceAsync()
    {
        ResourceCatalog catalog = await cluster.Client.GetCatalogAsync(false, default);
        return catalog.Find("batch/v1", "CronJob") ?? catalog.Get("batch/v1beta1", "CronJob");
    }

    /// <summary>The site names no kubeconfig, as one for jobs must not.</summary>
    private static async Task<T> WithClusterAsync<T>(Func<Task<T>> work)
    {
        string? before = Environment.GetEnvironmentVariable("KUBECONFIG");
        Environment.SetEnvironmentVariable("KUBECONFIG", ClusterFixture.Kubeconfig);
        try
        {
            return await work();
        }
        finally
        {
            Environment.SetEnvironmentVariable("KUBECONFIG", before);
        }
    }

    private async Task WriteSecretAsync(string name, string key, string value) => await cluster.Client.ApplyAsync(
        KubernetesResource.Secrets,
        ClusterFixture.Parse($$$"""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"{{{name}}}","namespace":"{{{cluster.Namespace}}}"},"stringData":{"{{{key}}}":"{{{value}}}"}}"""),
        new ApplyOptions { Force = true },
        default);

    private Site WriteSite(string name, string schedules, string secret)
    {
        string path = Path.Combine(_directory.Path, "smcdr.yaml");
        File.WriteAllText(path, $$"""
            name: {{name}}
            repository: { location: s3://orders?region=eu-central-1 }
            regions:
              here:
                role: primary
                kubernetes:
                  namespace: {{cluster.Namespace}}
                  job:
                    image: busybox:1.35
                    cpu: 300m
                    memory: 384MiB
                    memoryLimit: 1536MiB
                    mounts: [ { path: {{_directory.Path}}, secret: orders-{{secret}} } ]
                database: { connection: "Host=db", password: "file:password" }
                redis: { endpoint: "redis:6379" }
            schedules: { {{schedules}} }

            """);
        return SiteFile.Load(path);
    }
}
