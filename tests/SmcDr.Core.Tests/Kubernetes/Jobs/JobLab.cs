using System.Diagnostics;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Tests.Cli;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Recovery.Pods;
using SmcDr.Core.Tests.Sites;

namespace SmcDr.Core.Tests.Kubernetes.Jobs;

/// <summary>
/// A namespace of a real cluster with a database, a claim for a repository, and Secrets, in which the image of smcdr runs, told by the command line of this
/// process.
/// </summary>
internal sealed class JobLab : IAsyncLifetime
{
    public const string Variable = "SMCDR_TEST_IMAGE_LOADER";
    private static readonly SemaphoreSlim s_gate = new(1, 1);
    private static bool s_isLoaded;
    private readonly TemporaryDirectory _directory = new();
    private readonly List<(KubernetesResource Resource, string Name)> _clusterObjects = [];

    public static string? Loader => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } loader ? loader : null;

    public static string? Archive { get; } = Directory.Exists(Path.Combine(SiteFileTests.FindRoot(), "out"))
        ? Directory.GetFiles(Path.Combine(SiteFileTests.FindRoot(), "out"), "smcdr-*-oci.tar").FirstOrDefault()
        : null;

    /// <summary>The image's name and tag, which its archive's name has as well.</summary>
    public static string Image => "smcdr:" + Path.GetFileName(Archive!)["smcdr-".Length..^"-oci.tar".Length];

    public PodLab Pods { get; } = new();

    public KubernetesClient Client => Pods.Cluster.Client;

    public string Namespace => Pods.Namespace;

    public Task InitializeAsync() => Pods.InitializeAsync();

    public async Task DisposeAsync()
    {
        foreach ((KubernetesResource resource, string name) in _clusterObjects)
        {
            await Client.DeleteAsync(resource, null, name, null, default);
        }

        await Pods.DisposeAsync();
        _directory.Dispose();
    }

    /// <summary>Brings the image to the cluster's node, once.</summary>
    public static async Task LoadImageAsync()
    {
        await s_gate.WaitAsync();
        try
        {
            if (!s_isLoaded)
            {
                string[] words = Loader!.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                ProcessStartInfo start = new(words[0], [.. words[1..], Archive!]) { RedirectStandardOutput = true, RedirectStandardError = true };
                using Process process = Process.Start(start)!;
                Task<string> output = process.StandardOutput.ReadToEndAsync();
                string error = await process.StandardError.ReadToEndAsync();
                await process.WaitForExitAsync();
                Assert.True(process.ExitCode == 0, $"{Loader}: {await output}{error}");
                s_isLoaded = true;
            }
        }
        finally
        {
            s_gate.Release();
        }
    }

    /// <summary>Makes a claim, and the Secrets of passwords and of a passphrase.</summary>
    public async Task CreateStorageAsync(string name)
    {
        await Pods.CreateAsync(
            new KubernetesResource { Version = "v1", Plural = "persistentvolumeclaims", Kind = "PersistentVolumeClaim", IsNamespaced = true },
            $$$$$"""
            {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"{{{{{name}}}}}","namespace":"{{{{{Namespace}}}}}"},
            "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
            """);
        await Pods.CreateAsync(
            KubernetesResource.Secrets,
            $$$"""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"{{{name}}}","namespace":"{{{Namespace}}}"},"stringData":{"password":"not-so-secret","wrong":"quite-wrong","passphrase":"long enough for anybody"}}""");
    }

    /// <summary>Gives the account of the pods of docs/kubernetes what a backup of the configuration needs.</summary>
    public async Task GiveConfigurationRightsAsync()
    {
        await RightsManifest.ApplyAsync(Client, "jobs", ("smc-trading", Namespace));
        _clusterObjects.AddRange(await RightsManifest.ApplyAsync(
            Client,
            "configuration",
            ("name: smcdr\n", $"name: {Namespace}\n"),
            ("namespace: smcdr\n", $"namespace: {Namespace}\n"),
            ("namespace: orders", $"namespace: {Namespace}"),
            ("smcdr-configuration", $"{Namespace}-configuration"),
            ("name: configuration-backup", "name: smcdr-pod")));
    }

    /// <summary>Writes a site file for a database of the namespace, and gives its directory.</summary>
    public async Task<string> WriteSiteAsync(
        string name, string database, string storage, string passwordKey = "password", string? image = null, string serviceAccount = "default")
    {
        string directory = Directory.CreateDirectory(Path.Combine(_directory.Path, name)).FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, "smcdr.yaml"), $$"""
            name: {{name}}
            repository: { location: "file:///backups/{{name}}", encryptionKey: "k8s:{{Namespace}}/{{storage}}/passphrase" }
            regions:
              here:
                role: primary
                kubernetes:
                  kubeconfig: "{{ClusterFixture.Kubeconfig}}"
                  namespace: {{Namespace}}
                  job:
                    image: {{image ?? Image}}
                    serviceAccount: {{serviceAccount}}
                    mounts: [ { claim: {{storage}}, path: /backups } ]
                    cpu: 100m
                    startTimeout: 2m
                database:
                  connection: "Host={{database}};Username=postgres;Database=postgres"
                  password: k8s:{{Namespace}}/{{storage}}/{{passwordKey}}
                  workload: statefulset/{{database}}
            """);
        return directory;
    }

    public static Task<CliRun> RunAsync(string directory, params string[] arguments) =>
        CliRun.InAsync(directory, [.. arguments, "--as-kubernetes-job", "--json"]);

    /// <summary>The names of the Jobs of a site.</summary>
    public async Task<IReadOnlyList<KubernetesObject>> JobsOfAsync(string site)
    {
        List<KubernetesObject> jobs = [];
        await foreach (KubernetesObject job in Client.ListAsync(
            (await Client.GetCatalogAsync(false, default)).Get("batch/v1", "Job"), Namespace, new ListOptions { LabelSelector = "smcdr/site=" + site }))
        {
            jobs.Add(job);
        }

        return jobs;
    }
}
