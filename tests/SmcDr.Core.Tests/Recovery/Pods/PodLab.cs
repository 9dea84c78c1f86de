using System.Text.Json.Nodes;
using Npgsql;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Postgres.Wal;

namespace SmcDr.Core.Tests.Recovery.Pods;

/// <summary>A namespace of a real cluster in which databases run in StatefulSets with volume claims, and a repository.</summary>
public sealed class PodLab : IAsyncLifetime
{
    private const string Password = "not-so-secret";
    private readonly TemporaryDirectory _directory = new();

    public ClusterFixture Cluster { get; } = new();

    public string Namespace => Cluster.Namespace;

    public static string Directory(string mode) => mode == "below" ? "/var/lib/postgresql/data/pgdata" : "/var/lib/postgresql/data";

    public Task InitializeAsync() => Cluster.InitializeAsync();

    public async Task DisposeAsync()
    {
        await Cluster.DisposeAsync();
        _directory.Dispose();
    }

    /// <summary>Starts a database and waits until it is ready.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="mode">Where the data directory is: <c>below</c> the volume's root, the <c>root</c> itself, or a <c>part</c> of the volume that is mounted.</param>
    internal async Task<PodDatabase> StartAsync(string name, string mode = "below")
    {
        await CreateAsync(
            new KubernetesResource { Version = "v1", Plural = "services", Kind = "Service", IsNamespaced = true },
            $$$$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"{{{{name}}}}","namespace":"{{{{Namespace}}}}"},
            "spec":{"selector":{"app":"{{{{name}}}}"},"ports":[{"port":5432,"targetPort":"pg"}]}}
            """);
        string part = mode == "part" ? ""","subPath":"pgdata" """ : "";
        await CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(Cluster.Client, WorkloadKind.StatefulSet, default),
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"{{{{{name}}}}}","namespace":"{{{{{Namespace}}}}}"},
            "spec":{"serviceName":"{{{{{name}}}}}","replicas":1,"selector":{"matchLabels":{"app":"{{{{{name}}}}}"}},"updateStrategy":{"type":"OnDelete"},
            "template":{"metadata":{"labels":{"app":"{{{{{name}}}}}"}},"spec":{"terminationGracePeriodSeconds":20,"containers":[
            {"name":"postgres","image":"postgres:15","imagePullPolicy":"IfNotPresent","args":["-c","fsync=off"],
            "env":[{"name":"POSTGRES_PASSWORD","value":"{{{{{Password}}}}}"},{"name":"PGDATA","value":"{{{{{Directory(mode)}}}}}"}],
            "ports":[{"name":"pg","containerPort":5432}],
            "readinessProbe":{"exec":{"command":["pg_isready","-U","postgres","-h","127.0.0.1"]},"periodSeconds":1,"timeoutSeconds":10},
            "volumeMounts":[{"name":"data","mountPath":"/var/lib/postgresql/data"{{{{{part}}}}}}]}]}},
            "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}}
            """);
        PodDatabase database = new(this, name, mode, await Repository.OpenOrCreateAsync(
            new DirectoryObjectStore(System.IO.Directory.CreateDirectory(Path.Combine(_directory.Path, name)).FullName), default));
        await database.WaitUntilReadyAsync();
        return database;
    }

    /// <summary>Starts a writer, which does nothing.</summary>
    internal async Task<WorkloadName> StartWriterAsync(string name)
    {
        await CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(Cluster.Client, WorkloadKind.Deployment, default),
            $$$$$"""
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{{{{name}}}}}","namespace":"{{{{{Namespace}}}}}"},
            "spec":{"replicas":1,"selector":{"matchLabels":{"app":"{{{{{name}}}}}"}},"template":{"metadata":{"labels":{"app":"{{{{{name}}}}}"}},
            "spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sleep","100000"]}]}}}}
            """);
        return new WorkloadName(WorkloadKind.Deployment, name);
    }

    internal Task CreateAsync(KubernetesResource kind, string json) =>
        Cluster.Client.CreateAsync(kind, new KubernetesObject((JsonObject)JsonNode.Parse(json)!), false, default);

    internal static Func<CancellationToken, ValueTask<string?>> GivePassword => static _ => ValueTask.FromResult<string?>(Password);
}
