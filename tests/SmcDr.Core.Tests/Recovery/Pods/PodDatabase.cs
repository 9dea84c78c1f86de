using Npgsql;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Postgres.Wal;

namespace SmcDr.Core.Tests.Recovery.Pods;

/// <summary>A database in a StatefulSet, and what is done with it from outside of the cluster.</summary>
internal sealed class PodDatabase(PodLab lab, string name, string mode, Repository repository)
{
    public Repository Repository => repository;

    public WorkloadName Workload { get; } = new(WorkloadKind.StatefulSet, name);

    public string PodName => name + "-0";

    /// <summary>Connects as a client would from within the cluster, through a forwarded port.</summary>
    public PostgresConnector Connector { get; } = new(
        $"Host={name}.{lab.Namespace}.svc.cluster.local;Username=postgres;Database=postgres",
        PodLab.GivePassword,
        new ClusterRoute(lab.Namespace, new WorkloadName(WorkloadKind.StatefulSet, name), null, _ => Task.FromResult(new KubernetesClient(lab.Cluster.Client.Access))));

    public PodTarget Target => new(lab.Namespace, PodName, "postgres");

    public async Task WaitUntilReadyAsync() => Assert.True(await lab.Cluster.Client.WaitAsync(
        KubernetesResource.Pods, lab.Namespace, PodName, static pod => pod is not null && PodTrouble.IsReady(pod), TimeSpan.FromMinutes(4), default));

    public async Task ExecuteAsync(string sql)
    {
        await using NpgsqlConnection connection = await Connector.OpenAsync(default);
        await using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using NpgsqlConnection connection = await Connector.OpenAsync(default);
        await using NpgsqlCommand command = new(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task<DateTimeOffset> TimeAsync() => new(await ScalarAsync<DateTime>("SELECT clock_timestamp()"), TimeSpan.Zero);

    public Task<Lsn> FlushedLsnAsync() => LsnAsync("SELECT pg_current_wal_flush_lsn()::text");

    /// <summary>A table with rows, a base backup, more rows, and then the table is gone: what was before that is what a recovery is to bring back.</summary>
    /// <returns>The instant before the table went.</returns>
    public async Task<DateTimeOffset> LoseTableAsync(int rows = 2000)
    {
        await ExecuteAsync("SELECT pg_create_physical_replication_slot('lab', true)");
        await using RunningReceiver receiver = RunningReceiver.Start(Connector, repository, RunningReceiver.Quick with { Slot = "lab" });
        await ExecuteAsync($"CREATE TABLE public.trades AS SELECT i AS id, repeat(md5(i::text), 10) AS v FROM generate_series(1, {rows}) AS i");
        await BaseBackup.RunAsync(Connector, repository, new BaseBackupOptions { Parallelism = 2, Slot = "lab" }, NullObserver.Instance, default);
        await ExecuteAsync($"INSERT INTO public.trades SELECT i, 'after the backup' FROM generate_series({rows + 1}, {rows + 100}) AS i");
        DateTimeOffset time = await TimeAsync();
        await ExecuteAsync("DROP TABLE public.trades");
        await ExecuteAsync("CREATE TABLE public.later (id int)");
        await receiver.FlushedAsync(await FlushedLsnAsync());
        await receiver.StopAsync();
        return time;
    }

    public PodRecoveryRequest Request(RecoveryTarget target, IDatabaseWriters? writers = null) => new()
    {
        Recovery = new RecoveryRequest { Repository = repository, DataDirectory = "", Target = target, Force = true, Writers = writers },
        Connect = _ => Task.FromResult(new KubernetesClient(lab.Cluster.Client.Access)),
        Namespace = lab.Namespace,
        Workload = Workload,
        Connector = Connector,
        Helper = new HelperPodOptions { Silence = TimeSpan.FromSeconds(5), Heartbeat = TimeSpan.FromSeconds(2) },
    };

    public static async Task<RecoveryResult> RecoverAsync(
        PodRecoveryRequest request, IOperationObserver? observer = null, Action<RecoveryPhase>? afterPhase = null, CancellationToken cancellationToken = default)
    {
        PodRecoveryPlan plan = await PodRecovery.PlanAsync(request, observer ?? NullObserver.Instance, cancellationToken);
        return await PodRecovery.ExecuteAsync(plan, observer ?? NullObserver.Instance, afterPhase, cancellationToken);
    }

    public async Task<bool> HasHelperAsync() =>
        await lab.Cluster.Client.TryGetAsync(KubernetesResource.Pods, lab.Namespace, HelperPod.NameOf(Workload), default) is not null;

    public async Task<WorkloadInfo> InfoAsync() => await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).GetAsync(Workload, default);

    /// <summary>What a command in the database's pod says.</summary>
    public async Task<string> ShellAsync(string script)
    {
        ExecResult result = await lab.Cluster.Client.RunAsync(Target, ["sh", "-c", script], default);
        return result.ExitCode == 0 ? result.Output : throw new InvalidOperationException(result.Errors);
    }

    public string DataDirectory => PodLab.Directory(mode);

    private async Task<Lsn> LsnAsync(string sql) => Lsn.Parse(await ScalarAsync<string>(sql));
}
