using System.Text.Json;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems.Restore;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Postgres.Wal;
using SmcDr.Core.Tests.Recovery.Pods;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Systems;

/// <summary>A system in a namespace of a real cluster is deleted with all that it has, and comes back by one command.</summary>
public sealed class ClusterSystemTests(PodLab lab, ITestOutputHelper output) : IClassFixture<PodLab>
{
    private static readonly KubernetesResource s_services = new() { Version = "v1", Plural = "services", Kind = "Service", IsNamespaced = true };

    [ClusterFact]
    public async Task Restore_DeletedNamespace_ComesBackWholeByOneCommand()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(path, $$"""
            name: orders
            repository: { location: "file://{{directory.Path}}/repository", encryptionKey: "file:{{directory.Path}}/repository.key" }
            regions:
              here:
                role: primary
                kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{lab.Namespace}} }
                database:
                  connection: "Host=db.{{lab.Namespace}}.svc.cluster.local;Username=postgres;Database=postgres"
                  password: env:SMCDR_TEST_PASSWORD
                  workload: statefulset/db
                redis: { endpoint: "cache.{{lab.Namespace}}.svc.cluster.local:6379", password: env:SMCDR_TEST_PASSWORD, workload: statefulset/cache }
            writers: [ deployment/api ]
            checks:
              sql: [ { query: "select count(*) from public.trades", expect: "= 1100" } ]
            """);
        Dictionary<string, string> environment = new() { ["SMCDR_TEST_PASSWORD"] = "not-so-secret" };
        await RunAsync(environment, path, "key", "new", Path.Combine(directory.Path, "repository.key"));
        PodDatabase database = await lab.StartAsync("db");
        PodRedis redis = await PodRedis.CreateAsync(lab, "cache", "--appendonly", "yes");
        WorkloadName writer = await lab.StartWriterAsync("api");
        await lab.CreateAsync(
            KubernetesResource.ConfigMaps,
            $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"{{{lab.Namespace}}}"},"data":{"mode":"yes"}}""");
        Assert.True(await IsReadyAsync(new ClusterWorkloads(lab.Cluster.Client, lab.Namespace), writer));
        await database.ExecuteAsync("CREATE TABLE public.trades AS SELECT i AS id FROM generate_series(1, 1000) AS i");
        await database.ExecuteAsync("SELECT pg_create_physical_replication_slot('smcdr_orders', true)");
        Repository repository = await SiteFile.Load(path).OpenOrCreateRepositoryAsync(new SecretResolver(), default);
        await using (RunningReceiver stream = RunningReceiver.Start(database.Connector, repository, RunningReceiver.Quick with { Slot = "smcdr_orders" }))
        {
            JsonElement backup = await JsonAsync(environment, path, "system", "backup", "--label", "nightly");
            Assert.Equal("Complete", backup.GetProperty("state").GetString());
            Assert.Equal(
                ["Configuration", "Database", "Redis"],
                backup.GetProperty("backups").EnumerateArray().Select(static one => one.GetProperty("component").GetString()!).Order(StringComparer.Ordinal));
            Assert.InRange(backup.GetProperty("skewSeconds").GetDouble(), 0, backup.GetProperty("durationSeconds").GetDouble() + 1);
            await database.ExecuteAsync("INSERT INTO public.trades SELECT i FROM generate_series(1001, 1100) AS i");
            await stream.FlushedAsync(await database.FlushedLsnAsync());
        }

        await lab.Cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, lab.Namespace, null, default);
        Assert.True(await lab.Cluster.Client.WaitAsync(
            KubernetesResource.Namespaces, null, lab.Namespace, static space => space is null, TimeSpan.FromMinutes(3), default));

        JsonElement planned = await JsonAsync(environment, path, "system", "restore", "--dry-run");
        Assert.Equal(
            ["assess", "suspend-writers", "restore-configuration", "restore-database", "restore-redis", "resume-writers", "verify", "measure"],
            planned.EnumerateArray().Select(static step => step.GetProperty("step").GetString()));
        Assert.Null(await lab.Cluster.Client.TryGetAsync(KubernetesResource.Namespaces, null, lab.Namespace, default));
        JsonElement done = await JsonAsync(environment, path, "system", "restore", "--yes");
        output.WriteLine(string.Join('\n', done.EnumerateArray().Select(static step =>
            $"{step.GetProperty("step")} {step.GetProperty("elapsedSeconds").GetDouble():0.0} s: {step.GetProperty("detail")}")));

        Assert.All(done.EnumerateArray(), static step => Assert.Equal("Succeeded", step.GetProperty("state").GetString()));
        Assert.Equal("1100 1 1100", await database.ScalarAsync<string>("SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM public.trades"));
        Assert.False(await database.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal("than the backup", (await redis.ExecuteAsync(new RedisCommand("GET", "later")))[0].Text);
        Assert.Equal("yes", (string?)(await GetAsync(KubernetesResource.ConfigMaps, "settings")).Raw["data"]?["mode"]);
        Assert.Equal("bm90LXNvLXNlY3JldA==", (string?)(await GetAsync(KubernetesResource.Secrets, "cache")).Raw["data"]?["password"]);
        Assert.Equal("db", (string?)(await GetAsync(s_services, "db")).Raw["spec"]?["selector"]?["app"]);
        foreach (WorkloadName name in new[] { writer, database.Workload, redis.Workload })
        {
            WorkloadInfo info = await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).GetAsync(name, default);
            Assert.Equal(("Running", 1, null), (info.State, info.Replicas, info.SuspendedTime));
        }

        JsonElement[] checks = [.. (await JsonAsync(environment, path, "system", "test", "--skip-backups")).EnumerateArray()];
        Assert.Contains(checks, static check => check.GetProperty("name").GetString() == "ClusterReachable");
        Assert.Equal(3, checks.Count(static check => check.GetProperty("name").GetString() == "Workload"));
        Assert.DoesNotContain(checks, static check => check.GetProperty("outcome").GetString() == "Failed");

        // One that is stopped is told, and the command fails.
        await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).SuspendAsync(writer, default);
        (int exitCode, string text, string _) = await SmcdrProcess.RunAsync(environment, "--site", path, "system", "test", "--skip-backups", "--json");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode, exitCode);
        Assert.Contains("It is stopped since", text, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task Restore_RedisWithoutAVolume_IsGivenItsKeysWhileItRuns()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(path, $$"""
            name: orders
            repository: { location: "file://{{directory.Path}}/repository" }
            regions:
              here:
                role: primary
                kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{lab.Namespace}} }
                redis: { endpoint: "fleeting.{{lab.Namespace}}.svc.cluster.local:6379", workload: deployment/fleeting }
            """);
        WorkloadName workload = new(WorkloadKind.Deployment, "fleeting");
        await lab.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(lab.Cluster.Client, WorkloadKind.Deployment, default),
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fleeting","namespace":"{{{{{lab.Namespace}}}}}"},
            "spec":{"replicas":1,"selector":{"matchLabels":{"app":"fleeting"}},"template":{"metadata":{"labels":{"app":"fleeting"}},
            "spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"redis","image":"redis:7","imagePullPolicy":"IfNotPresent",
            "ports":[{"containerPort":6379}],"readinessProbe":{"tcpSocket":{"port":6379},"periodSeconds":1}}]}}}}
            """);
        ClusterWorkloads workloads = new(lab.Cluster.Client, lab.Namespace);
        Assert.True(await IsReadyAsync(workloads, workload));
        RedisConnector connector = SiteFile.Load(path).CreateRedisConnector(new SecretResolver());
        await ExecuteAsync(connector, new RedisCommand("SET", "kept", "yes"));
        await JsonAsync([], path, "system", "backup", "--component", "redis");
        await ExecuteAsync(connector, new RedisCommand("FLUSHALL"), new RedisCommand("SET", "later", "than the backup"));
        // As it is where the configuration has made it anew.
        await workloads.SuspendAsync(workload, default);

        JsonElement done = await JsonAsync([], path, "system", "restore", "--component", "redis", "--yes");

        Assert.All(done.EnumerateArray(), static step => Assert.Equal("Succeeded", step.GetProperty("state").GetString()));
        RedisReply[] replies = await ExecuteAsync(connector, new RedisCommand("GET", "kept"), new RedisCommand("DBSIZE"));
        Assert.Equal(("yes", 1L), (replies[0].Text, replies[1].Integer));
    }

    [ClusterFact]
    public async Task EnsureAsync_StatefulSetWithoutPods_HasTheClaimsThatItsControllerWouldMake()
    {
        await lab.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(lab.Cluster.Client, WorkloadKind.StatefulSet, default),
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"bare","namespace":"{{{{{lab.Namespace}}}}}"},
            "spec":{"serviceName":"bare","replicas":1,"selector":{"matchLabels":{"app":"bare"}},"template":{"metadata":{"labels":{"app":"bare"}},
            "spec":{"nodeSelector":{"no":"such-node"},"containers":[{"name":"main","image":"busybox:1.35","command":["sleep","1"],
            "volumeMounts":[{"name":"data","mountPath":"/data"}]}]}},
            "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"16Mi"}}}}]}}
            """);
        WorkloadName workload = new(WorkloadKind.StatefulSet, "bare");
        KubernetesResource claims = (await lab.Cluster.Client.GetCatalogAsync(false, default)).Get("v1", "PersistentVolumeClaim");
        Assert.True(await lab.Cluster.Client.WaitAsync(
            claims, lab.Namespace, "data-bare-0", static claim => claim is not null, TimeSpan.FromMinutes(1), default));
        KubernetesObject byController = await GetAsync(claims, "data-bare-0");
        await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).SuspendAsync(workload, default);
        await lab.Cluster.Client.DeleteAsync(claims, lab.Namespace, "data-bare-0", null, default);
        Assert.True(await lab.Cluster.Client.WaitAsync(
            claims, lab.Namespace, "data-bare-0", static claim => claim is null, TimeSpan.FromMinutes(1), default));

        Assert.Equal(1, await StatefulSetClaims.EnsureAsync(lab.Cluster.Client, lab.Namespace, workload, default));
        Assert.Equal(0, await StatefulSetClaims.EnsureAsync(lab.Cluster.Client, lab.Namespace, workload, default));

        KubernetesObject made = await GetAsync(claims, "data-bare-0");
        Assert.Equal(byController.Labels, made.Labels);
        Assert.Equal(
            byController.Raw["spec"]!["resources"]!.ToJsonString(), made.Raw["spec"]!["resources"]!.ToJsonString());
        Assert.Equal(
            byController.Raw["spec"]!["accessModes"]!.ToJsonString(), made.Raw["spec"]!["accessModes"]!.ToJsonString());
    }

    private static async Task<bool> IsReadyAsync(ClusterWorkloads workloads, WorkloadName workload)
    {
        // Waits where something has stopped it only; what was just made is asked until it is up.
        for (int i = 0; i < 240; i++)
        {
            if ((await workloads.GetAsync(workload, default)).State == "Running")
            {
                return true;
            }

            await Task.Delay(TimeSpan.FromSeconds(0.5));
        }

        return false;
    }

    private static async Task<RedisReply[]> ExecuteAsync(RedisConnector connector, params RedisCommand[] commands)
    {
        await using RedisConnection connection = await connector.OpenAsync(default);
        RedisReply[] replies = await connection.ExecuteManyAsync(commands, default);
        Assert.DoesNotContain(replies, static reply => reply.IsError);
        return replies;
    }

    private Task<KubernetesObject> GetAsync(KubernetesResource kind, string name) => lab.Cluster.Client.GetAsync(kind, lab.Namespace, name, default);

    private static async Task<string> RunAsync(Dictionary<string, string> environment, string site, params string[] arguments)
    {
        (int exitCode, string text, string error) = await SmcdrProcess.RunAsync(environment, ["--site", site, .. arguments]);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: exit code {exitCode}\n{error}{text}");
        return text;
    }

    private static async Task<JsonElement> JsonAsync(Dictionary<string, string> environment, string site, params string[] arguments) =>
        JsonDocument.Parse(await RunAsync(environment, site, [.. arguments, "--json"])).RootElement;
}
