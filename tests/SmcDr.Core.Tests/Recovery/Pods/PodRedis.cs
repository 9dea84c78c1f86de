using System.Globalization;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Recovery.Pods;

/// <summary>A Redis in a StatefulSet with a volume claim that was backed up and changed since, from outside of the cluster.</summary>
internal sealed class PodRedis
{
    private const string Password = "not-so-secret";
    private readonly PodLab _lab;
    private readonly MemoryObjectStore _store = new();

    private PodRedis(PodLab lab, string name)
    {
        (_lab, Workload) = (lab, new WorkloadName(WorkloadKind.StatefulSet, name));
        Connector = CreateConnector(lab, Workload, _ => Task.FromResult(new KubernetesClient(lab.Cluster.Client.Access)));
    }

    public WorkloadName Workload { get; }

    public RedisConnector Connector { get; }

    public BackupInfo Backup { get; private set; } = null!;

    /// <summary>What DEBUG DIGEST said of the data that was backed up.</summary>
    public string Digest { get; private set; } = null!;

    public string PodName => Workload.Name + "-0";

    /// <summary>Starts a server, fills it, backs it up through a forwarded port, and changes it.</summary>
    public static async Task<PodRedis> CreateAsync(PodLab lab, string name, params string[] arguments)
    {
        await lab.CreateAsync(
            new KubernetesResource { Version = "v1", Plural = "secrets", Kind = "Secret", IsNamespaced = true },
            $$$"""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"{{{name}}}","namespace":"{{{lab.Namespace}}}"},"stringData":{"password":"{{{Password}}}"}}""");
        await lab.CreateAsync(
            new KubernetesResource { Version = "v1", Plural = "services", Kind = "Service", IsNamespaced = true },
            $$$$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"{{{{name}}}}","namespace":"{{{{lab.Namespace}}}}"},
            "spec":{"selector":{"app":"{{{{name}}}}"},"ports":[{"port":6379}]}}
            """);
        string words = string.Concat(arguments.Select(static word => $",\"{word}\""));
        await lab.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(lab.Cluster.Client, WorkloadKind.StatefulSet, default),
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"{{{{{name}}}}}","namespace":"{{{{{lab.Namespace}}}}}"},
            "spec":{"serviceName":"{{{{{name}}}}}","replicas":1,"selector":{"matchLabels":{"app":"{{{{{name}}}}}"}},
            "template":{"metadata":{"labels":{"app":"{{{{{name}}}}}"}},"spec":{"terminationGracePeriodSeconds":20,"containers":[
            {"name":"redis","image":"redis:7","imagePullPolicy":"IfNotPresent","args":["--requirepass","$(REDIS_PASSWORD)","--enable-debug-command","yes"{{{{{words}}}}}],
            "env":[{"name":"REDIS_PASSWORD","valueFrom":{"secretKeyRef":{"name":"{{{{{name}}}}}","key":"password"}}}],
            "ports":[{"containerPort":6379}],"readinessProbe":{"tcpSocket":{"port":6379},"periodSeconds":1},
            "volumeMounts":[{"name":"data","mountPath":"/data"}]}]}},
            "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}}
            """);
        PodRedis redis = new(lab, name);
        await redis.WaitUntilReadyAsync();
        List<RedisCommand> commands = [.. Enumerable.Range(0, 2000).Select(static i => new RedisCommand("SET", $"key:{i}", $"value {i} {new string('x', 200)}"))];
        commands.Add(new RedisCommand("RPUSH", "list", "a", "b", "c"));
        commands.Add(new RedisCommand("HSET", "hash", "field", "value"));
        commands.Add(new RedisCommand("SET", "expires", "in the year 2100", "PXAT", 4_102_444_800_000));
        commands.Add(new RedisCommand("SELECT", 3));
        commands.Add(new RedisCommand("SADD", "set", "1", "2", "x"));
        await redis.ExecuteAsync([.. commands]);
        redis.Digest = await redis.DigestAsync();
        redis.Backup = await RedisBackup.RunAsync(
            redis.Connector, await Repository.OpenOrCreateAsync(redis._store, default), new RedisBackupOptions(), NullObserver.Instance, default);
        await redis.ExecuteAsync(new RedisCommand("FLUSHALL"), new RedisCommand("SET", "later", "than the backup"));
        return redis;
    }

    private static RedisConnector CreateConnector(PodLab lab, WorkloadName workload, Func<CancellationToken, Task<KubernetesClient>> connect) => new(
        $"{workload.Name}.{lab.Namespace}.svc.cluster.local:6379",
        new RedisConnectorOptions { Route = new ClusterRoute(lab.Namespace, workload, null, connect) },
        static _ => ValueTask.FromResult<string?>(Password));

    public async Task WaitUntilReadyAsync() => Assert.True(await _lab.Cluster.Client.WaitAsync(
        KubernetesResource.Pods, _lab.Namespace, PodName, static pod => pod is not null && PodTrouble.IsReady(pod), TimeSpan.FromMinutes(4), default));

    public async Task<RedisReply[]> ExecuteAsync(params RedisCommand[] commands)
    {
        RedisConnection connection = await Connector.OpenAsync(default);
        await using (connection)
        {
            RedisReply[] replies = await connection.ExecuteManyAsync(commands, default);
            Assert.DoesNotContain(replies, static reply => reply.IsError);
            return replies;
        }
    }

    public async Task<string> DigestAsync() => (await ExecuteAsync(new RedisCommand("DEBUG", "DIGEST")))[0].Text;

    public async Task<string?> LaterAsync() => (await ExecuteAsync(new RedisCommand("SELECT", 0), new RedisCommand("GET", "later")))[1] is { IsNull: false } reply ? reply.Text : null;

    /// <param name="connect">Gives the clients, for the server's port as well; null = those of who tests.</param>
    public async Task<IRedisRestore> OfflineAsync(Action<string>? afterStep = null, Func<CancellationToken, Task<KubernetesClient>>? connect = null)
    {
        connect ??= _ => Task.FromResult(new KubernetesClient(_lab.Cluster.Client.Access));
        Repository repository = await Repository.OpenAsync(_store, default);
        return new RedisPodRestore(CreateConnector(_lab, Workload, connect), repository, await repository.OpenBackupAsync(Component.Redis, Backup.Id, default), new RedisPodRestoreOptions
        {
            Connect = connect,
            Namespace = _lab.Namespace,
            Workload = Workload,
            Helper = new HelperPodOptions { Silence = TimeSpan.FromSeconds(5), Heartbeat = TimeSpan.FromSeconds(2) },
            AfterStep = afterStep,
        });
    }

    public async Task<IRedisRestore> OnlineAsync()
    {
        Repository repository = await Repository.OpenAsync(_store, default);
        return new RedisOnlineRestore(
            Connector, await repository.OpenBackupAsync(Component.Redis, Backup.Id, default), new RedisRestoreOptions { Empty = true });
    }

    /// <summary>What a command in a pod with the volume says.</summary>
    public async Task<string> ShellAsync(string script, string? pod = null)
    {
        ExecResult result = await _lab.Cluster.Client.RunAsync(new PodTarget(_lab.Namespace, pod ?? PodName), ["sh", "-c", script], default);
        return result.ExitCode == 0 ? result.Output : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{result.ExitCode}: {result.Errors}"));
    }

    public async Task<bool> HasHelperAsync() =>
        await _lab.Cluster.Client.TryGetAsync(KubernetesResource.Pods, _lab.Namespace, HelperPod.NameOf(Workload), default) is not null;

    public Task<WorkloadInfo> InfoAsync() => new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace).GetAsync(Workload, default);

    public async Task ResumeAsync()
    {
        await new ClusterWorkloads(_lab.Cluster.Client, _lab.Namespace).ResumeAsync(Workload, wait: true, default);
        await WaitUntilReadyAsync();
    }
}
