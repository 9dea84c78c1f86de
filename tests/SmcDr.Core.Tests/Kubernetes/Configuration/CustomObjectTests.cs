using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>Objects of somebody's own kind come back behind the definition of it, against a server that stands in for a real one.</summary>
public sealed class CustomObjectTests : IAsyncLifetime
{
    private const string Orders = $"/apis/{CustomKindServer.Group}/v1/namespaces/apps/orders";
    private const string Definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    private const string Definition = $"{Definitions}/orders.{CustomKindServer.Group}";
    private readonly CustomKindServer _server = new();
    private readonly RecordingObserver _observer = new();
    private KubernetesClient _client = null!;
    private Repository _repository = null!;

    public async Task InitializeAsync()
    {
        _client = _server.Connect();
        _repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default);
        _server.Put("/api/v1/namespaces/apps", """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"apps"}}""");
        _server.Put(
            "/api/v1/namespaces/apps/configmaps/settings",
            """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"apps"},"data":{"mode":"yes"}}""");
        _server.Put(Definition, DefinitionOf("orders", "Order"));
        _server.Put($"{Definitions}/others.{CustomKindServer.Group}", DefinitionOf("others", "Other"));
        // More than are asked for one by one.
        for (int i = 0; i < 12; i++)
        {
            _server.Put(
                $"{Orders}/order-{i}",
                $$$"""
                {"apiVersion":"{{{CustomKindServer.Group}}}/v1","kind":"Order","metadata":{"name":"order-{{{i}}}","namespace":"apps"},
                "spec":{"amount":{{{i}}} }}
                """);
        }
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task BackupLoseRestore_CustomObjects_ComeBackBehindTheirDefinitionAndASecondRestoreChangesNothing()
    {
        BackupInfo backup = await BackUpAsync();
        Assert.Equal(("Complete", 15L), (backup.State, backup.FileCount));
        _server.Clear();

        IReadOnlyList<ConfigurationRestoreResult> plan = await RestoreAsync(backup, new ConfigurationRestoreOptions { DryRun = true });
        Assert.Empty(_server.Applied);
        Assert.Equal(12, plan.Count(static each => each is { Kind: "Order", Action: "Create", State: "Planned" }
            && each.Detail!.Contains("Its kind is not there yet", StringComparison.Ordinal)));

        IReadOnlyList<ConfigurationRestoreResult> first = await RestoreAsync(backup);
        Assert.All(first, static each => Assert.Equal(("Create", "Done"), (each.Action, each.State)));
        Assert.Equal(15, first.Count);
        Assert.Equal(Definition, _server.Applied.First());
        Assert.Equal(0, _server.Early);

        _server.Applied.Clear();
        IReadOnlyList<ConfigurationRestoreResult> second = await RestoreAsync(backup);
        Assert.All(second, static each => Assert.Equal("Same", each.Action));
        Assert.Empty(_server.Applied);
    }

    [Fact]
    public async Task RestoreAsync_DefinitionThatIsNotEstablished_SaysSoAndTheNextOneGoesOn()
    {
        BackupInfo backup = await BackUpAsync();
        _server.Clear();
        _server.Establishes = false;

        IReadOnlyList<ConfigurationRestoreResult> first = await RestoreAsync(
            backup, new ConfigurationRestoreOptions { EstablishedTimeout = TimeSpan.FromMilliseconds(300) });

        ConfigurationRestoreResult[] failed = [.. first.Where(static each => each.State == "Failed")];
        Assert.Equal(12, failed.Length);
        Assert.All(failed, static each =>
        {
            Assert.Equal("Order", each.Kind);
            Assert.Contains("Order", each.Error, StringComparison.Ordinal);
            Assert.NotEmpty(each.Recommendation!);
        });
        Assert.Contains(_observer.Warnings, static text => text.Contains($"kubectl describe crd orders.{CustomKindServer.Group}", StringComparison.Ordinal));
        Assert.Contains(first, static each => each is { Kind: "ConfigMap", State: "Done" });

        _server.Put(Definition, DefinitionOf("orders", "Order"));
        IReadOnlyList<ConfigurationRestoreResult> second = await RestoreAsync(backup);

        Assert.Equal(12, second.Count(static each => each is { Kind: "Order", Action: "Create", State: "Done" }));
        Assert.Equal(3, second.Count(static each => each.Action == "Same"));
    }

    /// <summary>Of a definition there is one for the cluster: a copy beside the first must not take over what converts its objects.</summary>
    [Fact]
    public async Task RestoreAsync_ToAnotherNamespace_LeavesTheServiceOfAnObjectOfTheClusterWhileItsNamespaceIsThere()
    {
        _server.Put(Definition, DefinitionOf("orders", "Order", """
            ,"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"service":{"namespace":"apps","name":"convert"} } } }
            """));
        BackupInfo backup = await BackUpAsync();
        ConfigurationRestoreOptions options = new() { NamespaceMapping = new Dictionary<string, string> { ["apps"] = "copy" } };

        IReadOnlyList<ConfigurationRestoreResult> beside = await RestoreAsync(backup, options);
        Assert.DoesNotContain(Definition, _server.Applied);
        ConfigurationRestoreResult skipped = Assert.Single(beside, static each => each.Action == "Skip");
        Assert.Equal(("CustomResourceDefinition", $"orders.{CustomKindServer.Group}"), (skipped.Kind, skipped.Name));
        Assert.Contains("'apps', which is there still", skipped.Detail, StringComparison.Ordinal);
        Assert.Equal(12, beside.Count(static each => each is { Kind: "Order", Namespace: "copy", Action: "Create" }));

        // Once the first is gone, the copy is what there is.
        _server.Remove("/api/v1/namespaces/apps");
        IReadOnlyList<ConfigurationRestoreResult> alone = await RestoreAsync(backup, options);
        Assert.Contains(Definition, _server.Applied);
        Assert.DoesNotContain(alone, static each => each.Action == "Skip");
    }

    /// <summary>As of Secrets that the server cannot decrypt: it answers for each kind on its own.</summary>
    [Fact]
    public async Task BackUpAsync_OneKindOfTheServerCannotBeRead_ReadsTheOthers()
    {
        _server.Put(
            "/api/v1/namespaces/apps/services/web",
            """{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"apps"},"spec":{"ports":[{"port":80}]}}""");
        _server.Failing = "/configmaps";
        using KubernetesClient client = _server.Connect(new KubernetesClientOptions { RetryTime = TimeSpan.Zero });

        BackupInfo backup = await BackUpAsync(client);

        Assert.Equal("Partial", backup.State);
        Assert.Contains("configmaps", Assert.Single(backup.Missing), StringComparison.Ordinal);
        // All but the ConfigMap.
        Assert.Equal(15, backup.FileCount);
    }

    /// <summary>Who serves a group of somebody's own is asked once, and all of its kinds are missing.</summary>
    [Fact]
    public async Task BackUpAsync_ServerOfAGroupDoesNotAnswer_NamesEachOfItsKinds()
    {
        _server.Failing = $"/apis/{CustomKindServer.Group}/v1/namespaces";
        using KubernetesClient client = _server.Connect(new KubernetesClientOptions { RetryTime = TimeSpan.Zero });

        BackupInfo backup = await BackUpAsync(client);

        Assert.Equal("Partial", backup.State);
        Assert.Equal(2, backup.Missing.Count);
        Assert.Contains(backup.Missing, static each => each.Contains($"orders.{CustomKindServer.Group}", StringComparison.Ordinal));
        Assert.Contains(backup.Missing, static each => each.Contains($"returns.{CustomKindServer.Group}", StringComparison.Ordinal));
    }

    private static string DefinitionOf(string plural, string kind, string more = "") => $$$"""
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"{{{plural}}}.{{{CustomKindServer.Group}}}"},
        "spec":{"group":"{{{CustomKindServer.Group}}}","scope":"Namespaced","names":{"plural":"{{{plural}}}","kind":"{{{kind}}}"},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true} } }]{{{more}}} } }
        """;

    private Task<BackupInfo> BackUpAsync(KubernetesClient? client = null) => ConfigurationBackup.RunAsync(
        client ?? _client, _repository, new ConfigurationBackupOptions { Namespaces = ["apps"], Site = "test", SkipSecrets = true }, _observer, default);

    private async Task<IReadOnlyList<ConfigurationRestoreResult>> RestoreAsync(BackupInfo backup, ConfigurationRestoreOptions? options = null)
    {
        List<ConfigurationRestoreResult> results = [];
        await foreach (ConfigurationRestoreResult result in ConfigurationRestore.RunAsync(
            _client,
            await _repository.OpenBackupAsync(Component.Configuration, backup.Id, default),
            options ?? new ConfigurationRestoreOptions(),
            _observer,
            default))
        {
            results.Add(result);
        }

        return results;
    }
}
