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
using SmcDr.Core.Tests.Kubernetes.Configuration;
using SmcDr.Core.Tests.Postgres.Wal;
using SmcDr.Core.Tests.Recovery.Pods;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Systems;

/// <summary>A system in a namespace of a real cluster is deleted with all that it has, and comes back by one command.</summary>
public sealed class ClusterSystemTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly KubernetesResource s_services = new() { Version = "v1", Plural = "services", Kind = "Service", IsNamespaced = true };
    // One of each test's own: they delete its namespace, and count what runs in it.
    private readonly PodLab _lab = new();

    public Task InitializeAsync() => _lab.InitializeAsync();

    public Task DisposeAsync() => _lab.DisposeAsync();

    [ClusterFact]
    public async Task Restore_DeletedNamespace_ComesBackWholeAtAnInstantByOneCommand()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(path, $$"""
            name: orders
            repository: { location: "file://{{directory.Path}}/repository", encryptionKey: "file:{{directory.Path}}/repository.key" }
            regions:
              here:
                role: primary
                kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{_lab.Namespace}} }
                database:
                  connection: "Host=db.{{_lab.Namespace}}.svc.cluster.local;Username=postgres;Database=postgres"
                  password: env:SMCDR_TEST_PASSWORD
                  workload: statefulset/db
                redis: { endpoint: "cache.{{_lab.Namespace}}.svc.cluster.local:6379", password: env:SMCDR_TEST_PASSWORD, workload: statefulset/cache }
            writers: [ deployment/api, deployment/feed ]
            objectives: { database: { rto: 15m, rpo: 15m }, redis: { rto: 15m, rpo: 1h }, configuration: { rto: 10m, rpo: 1h } }
            checks:
              sql: [ { query: "select count(*) from public.trades", expect: "= 1100" } ]
            """);
        Dictionary<string, string> environment = new() { ["SMCDR_TEST_PASSWORD"] = "not-so-secret" };
        await RunAsync(environment, path, "key", "new", Path.Combine(directory.Path, "repository.key"));
        PodDatabase database = await _lab.StartAsync("db");
        PodRedis redis = await PodRedis.CreateAsync(_lab, "cache", "--appendonly", "yes");
        WorkloadName writer = await _lab.StartWriterAsync("api");
        WorkloadName other = await _lab.StartWriterAsync("feed");
        await CreateOthersAsync();
        await _lab.CreateAsync(
            KubernetesResource.ConfigMaps,
            $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"{{{_lab.Namespace}}}"},"data":{"mode":"yes"}}""");
        Assert.True(await IsReadyAsync(new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace), writer));
        Assert.True(await IsReadyAsync(new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace), other));
        string instant;
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
            // Between two commits, by the server's own clock.
            instant = await database.ScalarAsync<string>("""SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM pg_sleep(0.2)""");
            await database.ExecuteAsync("INSERT INTO public.trades SELECT i FROM generate_series(5001, 5100) AS i, pg_sleep(0.2)");
            await stream.FlushedAsync(await database.FlushedLsnAsync());
        }

        await _lab.Cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, _lab.Namespace, null, default);
        Assert.True(await _lab.Cluster.Client.WaitAsync(
            KubernetesResource.Namespaces, null, _lab.Namespace, static space => space is null, TimeSpan.FromMinutes(3), default));

        JsonElement planned = await JsonAsync(environment, path, "system", "restore", "--target-time", instant, "--dry-run");
        Assert.Equal(
            ["assess", "suspend-writers", "restore-configuration", "restore-database", "restore-redis", "resume-writers", "verify", "measure"],
            planned.EnumerateArray().Select(static step => step.GetProperty("step").GetString()));
        Assert.Null(await _lab.Cluster.Client.TryGetAsync(KubernetesResource.Namespaces, null, _lab.Namespace, default));
        JsonElement done = await JsonAsync(environment, path, "system", "restore", "--target-time", instant, "--yes");
        output.WriteLine(string.Join('\n', done.EnumerateArray().Select(static step =>
            $"{step.GetProperty("step")} {step.GetProperty("elapsedSeconds").GetDouble():0.0} s: {step.GetProperty("detail")}")));

        Assert.All(done.EnumerateArray(), static step => Assert.Equal("Succeeded", step.GetProperty("state").GetString()));
        JsonElement recovery = done.EnumerateArray().Last().GetProperty("recovery");
        Assert.Equal("Met", recovery.GetProperty("verdict").GetString());
        Assert.Equal(
            ["Configuration Met", "Database Met", "Redis Met"],
            recovery.GetProperty("components").EnumerateArray()
                .Select(static part => $"{part.GetProperty("component")} {part.GetProperty("verdict")}").Order(StringComparer.Ordinal));
        Assert.Equal("1100 1 1100", await database.ScalarAsync<string>("SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM public.trades"));
        Assert.False(await database.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal("than the backup", (await redis.ExecuteAsync(new RedisCommand("GET", "later")))[0].Text);
        Assert.Equal("yes", (string?)(await GetAsync(KubernetesResource.ConfigMaps, "settings")).Raw["data"]?["mode"]);
        Assert.Equal("bm90LXNvLXNlY3JldA==", (string?)(await GetAsync(KubernetesResource.Secrets, "cache")).Raw["data"]?["password"]);
        Assert.Equal("db", (string?)(await GetAsync(s_services, "db")).Raw["spec"]?["selector"]?["app"]);
        foreach (WorkloadName name in new[] { writer, other, database.Workload, redis.Workload })
        {
            WorkloadInfo info = await new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace).GetAsync(name, default);
            Assert.Equal(("Running", 1, null), (info.State, info.Replicas, info.SuspendedTime));
        }

        // All else of the namespace is back as well, and there is nothing left for a second restore to do.
        JsonElement[] again = [.. (await JsonAsync(environment, path, "restore", "configuration", "--yes")).EnumerateArray()];
        Assert.All(again, static one => Assert.True(one.GetProperty("action").GetString() is "Same" or "Skip", one.GetRawText()));
        string[] kinds = [.. again.Select(static one => one.GetProperty("kind").GetString()!).Distinct()];
        Assert.All(
            ["CronJob", "Ingress", "Role", "RoleBinding", "ServiceAccount", "Service", "ConfigMap", "Secret", "StatefulSet"],
            kind => Assert.Contains(kind, kinds));
        Assert.Equal("helm.sh/release.v1", (string?)(await GetAsync(KubernetesResource.Secrets, "sh.helm.release.v1.web.v3")).Raw["type"]);

        JsonElement[] checks = [.. (await JsonAsync(environment, path, "system", "test", "--skip-backups")).EnumerateArray()];
        Assert.Contains(checks, static check => check.GetProperty("name").GetString() == "ClusterReachable");
        Assert.Equal(4, checks.Count(static check => check.GetProperty("name").GetString() == "Workload"));
        Assert.DoesNotContain(checks, static check => check.GetProperty("outcome").GetString() == "Failed");

        // One that is stopped is told, and the command fails.
        await new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace).SuspendAsync(writer, default);
        (int exitCode, string text, string _) = await SmcdrProcess.RunAsync(environment, "--site", path, "system", "test", "--skip-backups", "--json");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode, exitCode);
        Assert.Contains("It is stopped since", text, StringComparison.Ordinal);
    }

    /// <summary>
    /// The namespace is deleted, and the command that restores it killed at a random moment: the same command finishes it. <c>SMCDR_TEST_ROUNDS</c> says how
    /// often.
    /// </summary>
    [ClusterFact]
    public async Task Restore_KilledAtRandomMoments_IsFinishedByTheSameCommand()
    {
        int rounds = int.TryParse(System.Environment.GetEnvironmentVariable("SMCDR_TEST_ROUNDS"), out int more) ? more : 1;
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(path, $$"""
            name: orders
            repository: { location: "file://{{directory.Path}}/repository", encryptionKey: "file:{{directory.Path}}/repository.key" }
            regions:
              here:
                role: primary
                kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{_lab.Namespace}} }
                database:
                  connection: "Host=db.{{_lab.Namespace}}.svc.cluster.local;Username=postgres;Database=postgres"
                  password: env:SMCDR_TEST_PASSWORD
                  workload: statefulset/db
                redis: { endpoint: "cache.{{_lab.Namespace}}.svc.cluster.local:6379", password: env:SMCDR_TEST_PASSWORD, workload: statefulset/cache }
            writers: [ deployment/api ]
            checks:
              sql: [ { query: "select count(*) from public.trades", expect: "= 2000" } ]
            """);
        Dictionary<string, string> environment = new() { ["SMCDR_TEST_PASSWORD"] = "not-so-secret" };
        await RunAsync(environment, path, "key", "new", Path.Combine(directory.Path, "repository.key"));
        PodDatabase database = await _lab.StartAsync("db");
        PodRedis redis = await PodRedis.CreateAsync(_lab, "cache", "--appendonly", "yes");
        WorkloadName writer = await _lab.StartWriterAsync("api");
        ClusterWorkloads workloads = new(_lab.Cluster.Client, _lab.Namespace);
        Assert.True(await IsReadyAsync(workloads, writer));
        const string Digest = "SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM public.trades t";
        await database.ExecuteAsync("CREATE TABLE public.trades AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 2000) AS i");
        string rows = await database.ScalarAsync<string>(Digest);
        await JsonAsync(environment, path, "system", "backup");
        TimeSpan whole = TimeSpan.FromSeconds(60);
        for (int round = 1; round <= rounds; round++)
        {
            await _lab.Cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, _lab.Namespace, null, default);
            Assert.True(await _lab.Cluster.Client.WaitAsync(
                KubernetesResource.Namespaces, null, _lab.Namespace, static space => space is null, TimeSpan.FromMinutes(3), default));
            TimeSpan moment = whole * Random.Shared.NextDouble();
            using (SmcdrProcess process = SmcdrProcess.Start(environment, ["--site", path, "system", "restore", "--yes"]))
            {
                await Task.Delay(moment);
                bool killed = await process.KillAsync();
                output.WriteLine($"Round {round}: {(killed ? "killed" : "had finished")} at {moment.TotalSeconds:0.0} s.");
                if (!killed)
                {
                    (int exitCode, string text, string error) = await process.EndAsync();
                    Assert.True(exitCode == 0, error + text);
                }
            }

            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            IReadOnlyList<JsonElement> open = [.. (await JsonAsync(environment, path, "plan", "list")).EnumerateArray()
                .Where(static plan => plan.GetProperty("state").GetString() == "Unfinished")];
            if (open.Count > 0 || await _lab.Cluster.Client.TryGetAsync(KubernetesResource.Namespaces, null, _lab.Namespace, default) is null)
            {
                JsonElement done = await JsonAsync(environment, path, "system", "restore", "--yes");
                output.WriteLine(string.Join(' ', done.EnumerateArray().Select(static step => $"{step.GetProperty("step")}={step.GetProperty("state")}")) +
                    $" in {System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds:0} s");
            }

            Assert.Equal(rows, await database.ScalarAsync<string>(Digest));
            Assert.Equal("than the backup", (await redis.ExecuteAsync(new RedisCommand("GET", "later")))[0].Text);
            Assert.False(await database.HasHelperAsync());
            foreach (WorkloadName name in new[] { writer, database.Workload, redis.Workload })
            {
                WorkloadInfo info = await workloads.GetAsync(name, default);
                Assert.Equal(("Running", 1, null), (info.State, info.Replicas, info.SuspendedTime));
            }

            Assert.DoesNotContain(
                (await JsonAsync(environment, path, "plan", "list")).EnumerateArray(), static plan => plan.GetProperty("state").GetString() == "Unfinished");
        }
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
                kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{_lab.Namespace}} }
                redis: { endpoint: "fleeting.{{_lab.Namespace}}.svc.cluster.local:6379", workload: deployment/fleeting }
            """);
        WorkloadName workload = new(WorkloadKind.Deployment, "fleeting");
        await _lab.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(_lab.Cluster.Client, WorkloadKind.Deployment, default),
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fleeting","namespace":"{{{{{_lab.Namespace}}}}}"},
            "spec":{"replicas":1,"selector":{"matchLabels":{"app":"fleeting"}},"template":{"metadata":{"labels":{"app":"fleeting"}},
            "spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"redis","image":"redis:7","imagePullPolicy":"IfNotPresent",
            "ports":[{"containerPort":6379}],"readinessProbe":{"tcpSocket":{"port":6379},"periodSeconds":1}}]}}}}
            """);
        ClusterWorkloads workloads = new(_lab.Cluster.Client, _lab.Namespace);
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
        KubernetesResource sets = await ClusterWorkloads.ResourceOfAsync(_lab.Cluster.Client, WorkloadKind.StatefulSet, default);
        await _lab.CreateAsync(
            sets,
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"bare","namespace":"{{{{{_lab.Namespace}}}}}"},
            "spec":{"serviceName":"bare","replicas":1,"selector":{"matchLabels":{"app":"bare"}},"template":{"metadata":{"labels":{"app":"bare"}},
            "spec":{"nodeSelector":{"no":"such-node"},"containers":[{"name":"main","image":"busybox:1.35","command":["sleep","1"],
            "volumeMounts":[{"name":"data","mountPath":"/data"}]}]}},
            "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"16Mi"}}}}]}}
            """);
        WorkloadName workload = new(WorkloadKind.StatefulSet, "bare");
        KubernetesResource claims = (await _lab.Cluster.Client.GetCatalogAsync(false, default)).Get("v1", "PersistentVolumeClaim");
        Assert.True(await _lab.Cluster.Client.WaitAsync(
            claims, _lab.Namespace, "data-bare-0", static claim => claim is not null, TimeSpan.FromMinutes(1), default));
        KubernetesObject byController = await GetAsync(claims, "data-bare-0");
        await new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace).SuspendAsync(workload, default);
        await _lab.Cluster.Client.DeleteAsync(claims, _lab.Namespace, "data-bare-0", null, default);
        Assert.True(await _lab.Cluster.Client.WaitAsync(
            claims, _lab.Namespace, "data-bare-0", static claim => claim is null, TimeSpan.FromMinutes(1), default));

        Assert.Equal(1, await StatefulSetClaims.EnsureAsync(_lab.Cluster.Client, _lab.Namespace, workload, default));
        Assert.Equal(0, await StatefulSetClaims.EnsureAsync(_lab.Cluster.Client, _lab.Namespace, workload, default));

        KubernetesObject made = await GetAsync(claims, "data-bare-0");
        Assert.Equal(byController.Labels, made.Labels);
        Assert.Equal(
            byController.Raw["spec"]!["resources"]!.ToJsonString(), made.Raw["spec"]!["resources"]!.ToJsonString());
        Assert.Equal(
            byController.Raw["spec"]!["accessModes"]!.ToJsonString(), made.Raw["spec"]!["accessModes"]!.ToJsonString());
    }

    /// <summary>
    /// What a system has beside its workloads. No kind of its own: a test cluster's API server may end when it is given such an object (see SampleSystem), so
    /// that those are tested against a stand-in (CustomObjectTests).
    /// </summary>
    private async Task CreateOthersAsync()
    {
        await CreateAsync(Kind("", "v1", "serviceaccounts", "ServiceAccount"), """{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"api","namespace":"NS"}}""");
        await CreateAsync(Kind("rbac.authorization.k8s.io", "v1", "roles", "Role"), """
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"api","namespace":"NS"},
            "rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get"]}]}
            """);
        await CreateAsync(Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"), """
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"api","namespace":"NS"},
            "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"api"},"subjects":[{"kind":"ServiceAccount","name":"api","namespace":"NS"}]}
            """);
        await CreateAsync(Kind("networking.k8s.io", "v1", "ingresses", "Ingress"), """
            {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"api","namespace":"NS"},"spec":{"rules":[{"host":"api.example.com",
            "http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"db","port":{"number":5432}}}}]}}]}}
            """);
        KubernetesResource cronJobs = Kind("batch", "v1beta1", "cronjobs", "CronJob");
        await CreateAsync(cronJobs, """
            {"apiVersion":"batch/v1beta1","kind":"CronJob","metadata":{"name":"nightly","namespace":"NS"},"spec":{"schedule":"0 3 1 1 *","jobTemplate":{"spec":{"template":
            {"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"busybox:1.35","command":["true"]}]}}}}}}
            """);
        await _lab.Cluster.Client.CreateAsync(
            KubernetesResource.Secrets, HelmReleasesTests.Release("web", 3, "deployed", isSecret: true, _lab.Namespace), false, default);

        Task CreateAsync(KubernetesResource kind, string json) => _lab.CreateAsync(kind, json.Replace("\"NS\"", $"\"{_lab.Namespace}\"", StringComparison.Ordinal));

        static KubernetesResource Kind(string group, string version, string plural, string kind) =>
            new() { Group = group, Version = version, Plural = plural, Kind = kind, IsNamespaced = true };
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

    private Task<KubernetesObject> GetAsync(KubernetesResource kind, string name) => _lab.Cluster.Client.GetAsync(kind, _lab.Namespace, name, default);

    private static async Task<string> RunAsync(Dictionary<string, string> environment, string site, params string[] arguments)
    {
        (int exitCode, string text, string error) = await SmcdrProcess.RunAsync(environment, ["--site", site, .. arguments]);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: exit code {exitCode}\n{error}{text}");
        return text;
    }

    private static async Task<JsonElement> JsonAsync(Dictionary<string, string> environment, string site, params string[] arguments) =>
        JsonDocument.Parse(await RunAsync(environment, site, [.. arguments, "--json"])).RootElement;
}
