using System.Text.Json.Nodes;
using SmcDr.Core.Encryption;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>Namespaces and kinds of a test's own in a real cluster, and an encrypted repository. All of it goes at the end.</summary>
internal sealed class ConfigurationLab : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly HashSet<string> _namespaces = [];
    private readonly List<(string Resource, string Name)> _cluster = [];
    private ResourceCatalog? _catalog;

    private ConfigurationLab(KubernetesClient client, string id)
    {
        Client = client;
        Id = id;
        Namespace = $"smcdr-config-{id}";
    }

    public KubernetesClient Client { get; }

    /// <summary>What makes this lab's names differ from those of others.</summary>
    public string Id { get; }

    public string Namespace { get; }

    /// <summary>A group of API that no other test has.</summary>
    public string Group => $"t{Id}.example.com";

    public RecordingObserver Observer { get; } = new();

    public string DirectoryPath => _directory.Path;

    public string RepositoryPath => Path.Combine(_directory.Path, "repository");

    public string KeyPath => Path.Combine(_directory.Path, "key");

    public Repository Repository { get; private set; } = null!;

    public static async Task<ConfigurationLab> CreateAsync(bool makeNamespace = true)
    {
        KubernetesClient client = await KubernetesClient.CreateAsync(
            new KubeconfigOptions { Path = ClusterFixture.Kubeconfig }, new KubernetesClientOptions { RetryTime = TimeSpan.FromMinutes(2) });
        ConfigurationLab lab = new(client, Guid.NewGuid().ToString("N")[..8]);
        KeyFile.Create(lab.KeyPath);
        lab.Repository = await Repository.OpenOrCreateAsync(
            ObjectStoreFactory.Open("file://" + lab.RepositoryPath), RepositoryKeySource.FromSecret(await File.ReadAllTextAsync(lab.KeyPath)), default);
        if (makeNamespace)
        {
            await lab.MakeNamespaceAsync(lab.Namespace);
        }

        return lab;
    }

    public async Task MakeNamespaceAsync(string name)
    {
        Own(name);
        await Client.CreateAsync(
            KubernetesResource.Namespaces,
            ClusterFixture.Parse($$$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{{name}}}}","labels":{"team":"smcdr"}}}"""),
            false,
            default);
        // What the cluster itself puts into a namespace comes a moment later.
        KubernetesResource accounts = await ResourceAsync("serviceaccounts");
        Assert.True(await Client.WaitAsync(
            accounts, name, "default", static account => account?.Raw["secrets"] is not null, TimeSpan.FromSeconds(60), default));
    }

    /// <summary>Has a namespace deleted at the end.</summary>
    public void Own(string name) => _namespaces.Add(name);

    /// <summary>Has an object of the cluster deleted at the end.</summary>
    public void Own(string resource, string name) => _cluster.Add((resource, name));

    public async Task<KubernetesResource> ResourceAsync(string name)
    {
        _catalog ??= await Client.GetCatalogAsync(true, default);
        if (_catalog.Find(name) is null)
        {
            _catalog = await Client.GetCatalogAsync(true, default);
        }

        return _catalog.Get(name);
    }

    /// <summary>Makes objects as somebody would with kubectl create. NS, ID and GROUP stand for this lab's own.</summary>
    public async Task CreateAsync(params string[] manifests)
    {
        foreach (string manifest in manifests)
        {
            KubernetesObject item = ClusterFixture.Parse(Expand(manifest));
            await Client.CreateAsync(await ResourceOfAsync(item), item, false, default);
        }
    }

    public string Expand(string text) => text
        .Replace("NS", Namespace, StringComparison.Ordinal)
        .Replace("GROUP", Group, StringComparison.Ordinal)
        .Replace("ID", Id, StringComparison.Ordinal);

    public async Task<JsonObject> GetAsync(string resource, string name, string? @namespace = null)
    {
        KubernetesResource kind = await ResourceAsync(resource);
        return (await Client.GetAsync(kind, kind.IsNamespaced ? @namespace ?? Namespace : null, name, default)).Raw;
    }

    public async Task<KubernetesObject?> TryGetAsync(string resource, string name, string? @namespace = null) =>
        await Client.TryGetAsync(await ResourceAsync(resource), @namespace ?? Namespace, name, default);

    public async Task PatchAsync(string resource, string name, string patch, PatchKind kind = PatchKind.Merge) =>
        await Client.PatchAsync(await ResourceAsync(resource), Namespace, name, kind, JsonNode.Parse(Expand(patch))!, default);

    public async Task DeleteAsync(string resource, string? name, string? @namespace = null)
    {
        KubernetesResource kind = await ResourceAsync(resource);
        await Client.DeleteAsync(kind, @namespace ?? Namespace, name!, null, default);
        await Client.WaitUntilGoneAsync(kind, @namespace ?? Namespace, name!, null, TimeSpan.FromMinutes(3), default);
    }

    public Task DeleteNamespaceAsync() => DeleteAsync("namespaces", Namespace);

    public Task<BackupInfo> BackUpAsync(KubernetesClient? client = null) => ConfigurationBackup.RunAsync(
        client ?? Client, Repository, new ConfigurationBackupOptions { Namespaces = [Namespace], Site = "test" }, Observer, default);

    /// <summary>The documents of a backup, by path.</summary>
    public async Task<SortedDictionary<string, JsonObject>> ReadAsync(BackupInfo backup)
    {
        SortedDictionary<string, JsonObject> documents = new(StringComparer.Ordinal);
        ConfigurationSource source = await ConfigurationSource.OpenAsync(await OpenAsync(backup), default);
        await foreach (IReadOnlyList<StoredDocument> window in source.ReadAsync(source.Entries, default))
        {
            foreach (StoredDocument document in window)
            {
                documents.Add(document.Entry.Path, document.Item.Raw);
            }
        }

        return documents;
    }

    public Task<BackupReader> OpenAsync(BackupInfo backup) => Repository.OpenBackupAsync(Component.Configuration, backup.Id, default);

    public async Task<IReadOnlyList<ConfigurationRestoreResult>> RestoreAsync(
        BackupInfo backup, ConfigurationRestoreOptions? options = null, KubernetesClient? client = null)
    {
        List<ConfigurationRestoreResult> results = [];
        await foreach (ConfigurationRestoreResult result in ConfigurationRestore.RunAsync(
            client ?? Client, await OpenAsync(backup), options ?? new ConfigurationRestoreOptions(), Observer, default))
        {
            results.Add(result);
        }

        return results;
    }

    public async Task<IReadOnlyList<ConfigurationDifference>> CompareAsync(
        BackupInfo backup, ObjectFilter? filter = null, IReadOnlyDictionary<string, string>? mapping = null)
    {
        List<ConfigurationDifference> differences = [];
        await foreach (ConfigurationDifference difference in new ConfigurationComparison(
            Client, await OpenAsync(backup), filter ?? new ObjectFilter(), mapping ?? new Dictionary<string, string>(), Observer).RunAsync(default))
        {
            differences.Add(difference);
        }

        return differences;
    }

    public static string ShortOf(ConfigurationRestoreResult result) => $"{result.Action} {result.State} {result.Kind}/{result.Name}";

    public async ValueTask DisposeAsync()
    {
        foreach (string name in _namespaces)
        {
            await Client.DeleteAsync(KubernetesResource.Namespaces, null, name, null, default);
        }

        foreach ((string resource, string name) in _cluster)
        {
            await Client.DeleteAsync(await ResourceAsync(resource), null, name, null, default);
        }

        Client.Dispose();
        _directory.Dispose();
    }

    private async Task<KubernetesResource> ResourceOfAsync(KubernetesObject item)
    {
        for (int attempt = 0; ; attempt++)
        {
            _catalog = await Client.GetCatalogAsync(_catalog is null || attempt > 0, default);
            if (_catalog.Find(item.ApiVersion, item.Kind) is KubernetesResource resource)
            {
                return resource;
            }

            // A kind that was just defined is served in a moment.
            Assert.True(attempt < 100, $"The cluster does not serve {item.ApiVersion} {item.Kind}.");
            await Task.Delay(100);
        }
    }
}
