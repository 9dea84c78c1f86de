using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Tests.Postgres.Logical;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>A whole system: backed up, deleted, and back.</summary>
[Collection(ClusterGroup.Name)]
public sealed class ConfigurationRoundTripTests
{
    [ClusterFact]
    public async Task BackupDeleteRestore_WholeSystem_IsBackAndASecondRestoreChangesNothing()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        await SampleSystem.CreateAsync(lab);

        BackupInfo backup = await lab.BackUpAsync();

        Assert.True(backup is { State: "Complete", Encrypted: true, Component: "Configuration" }, string.Join('\n', lab.Observer.Warnings));
        Assert.Equal([lab.Namespace], backup.Namespaces);
        Assert.Equal("web 3 (web-1.0.3, 2.3) deployed", Assert.Single(backup.HelmReleases).ToString());
        SortedDictionary<string, JsonObject> documents = await lab.ReadAsync(backup);
        Assert.Equal(
            SampleSystem.Paths.Select(lab.Expand).Order(StringComparer.Ordinal),
            documents.Keys.Where(static path => path.StartsWith("objects/", StringComparison.Ordinal)));
        string volume = Assert.Single(documents.Keys, static path => path.StartsWith("provisioned-volumes/", StringComparison.Ordinal));
        Assert.DoesNotContain("hunter2", documents[lab.Expand("objects/08-data/secrets/NS/password.yaml")].ToJsonString(), StringComparison.Ordinal);
        Assert.Empty(await lab.CompareAsync(backup));

        await DestroyAsync(lab);
        IReadOnlyList<ConfigurationRestoreResult> plan = await lab.RestoreAsync(backup, new ConfigurationRestoreOptions { DryRun = true });
        Assert.Null(await lab.TryGetAsync("namespaces", lab.Namespace));
        IReadOnlyList<ConfigurationRestoreResult> first = await lab.RestoreAsync(backup);

        Assert.Empty(Problems(first));
        // The class of storage was not deleted; the default account the cluster makes itself as soon as there is a namespace.
        Assert.Equal(["StorageClass/standard"], Told(plan, "Same"));
        Assert.Equal(Told(plan, "Create").Where(IsNoDefault), Told(first, "Create").Where(IsNoDefault));
        Assert.Equal([$"PersistentVolume/{Path.GetFileNameWithoutExtension(volume)}"], first.Where(static each => each.Action == "Skip").Select(static each => each.ToString()));
        Assert.All(plan, static each => Assert.Equal(each.Action == "Skip" ? "Skipped" : "Planned", each.State));

        await WaitForPodsAsync(lab);
        IReadOnlyList<ConfigurationRestoreResult> second = await lab.RestoreAsync(backup);
        Assert.All(second, static each => Assert.True(each.Action is "Same" or "Skip", Describe(each)));
        Assert.Equal(first.Count, second.Count);
        Assert.Empty(await lab.CompareAsync(backup));

        // What the restored cluster would be backed up as is, but for the volume, what was restored.
        SortedDictionary<string, JsonObject> again = await lab.ReadAsync(await lab.BackUpAsync());
        foreach ((string path, JsonObject document) in documents.Where(static pair => pair.Key.StartsWith("objects/", StringComparison.Ordinal)))
        {
            Assert.True(JsonNode.DeepEquals(document, again[path]), $"{path}\n{document}\n{again[path]}");
        }
    }

    /// <summary>After the reader that knows nothing of the product has extracted a backup, kubectl alone restores it.</summary>
    [KubectlClusterFact]
    public async Task Extract_ByTheStandaloneReader_IsRestoredByKubectlAlone()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        await SampleSystem.CreateAsync(lab);
        BackupInfo backup = await lab.BackUpAsync();
        await DestroyAsync(lab);
        string target = Path.Combine(lab.DirectoryPath, "extracted");
        LogicalLab.Read("verify", lab.RepositoryPath, backup.Id, "--key-file", lab.KeyPath);
        LogicalLab.Read("extract", lab.RepositoryPath, backup.Id, target, "--key-file", lab.KeyPath);

        foreach (string level in Directory.GetDirectories(Path.Combine(target, "objects")).Order(StringComparer.Ordinal))
        {
            await Kubectl.RunAsync(null, "apply", "-R", "-f", level);
        }

        await WaitForPodsAsync(lab);
        Assert.Empty(await lab.CompareAsync(backup));
        Assert.Equal("aHVudGVyMg==", (string?)(await lab.GetAsync("secrets", "password"))["data"]!["password"]);
    }

    [ClusterFact]
    public async Task RestoreAsync_ToAnotherNamespace_IsTheSameSystemBesideTheFirst()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        await SampleSystem.CreateAsync(lab);
        BackupInfo backup = await lab.BackUpAsync();
        string copy = lab.Namespace + "-b";
        lab.Own(copy);
        Dictionary<string, string> mapping = new() { [lab.Namespace] = copy };

        IReadOnlyList<ConfigurationRestoreResult> results = await lab.RestoreAsync(backup, new ConfigurationRestoreOptions { NamespaceMapping = mapping });

        Assert.Empty(Problems(results));
        Assert.All(results, each => Assert.True(each.Namespace is null || each.Namespace == copy, each.ToString()));
        Assert.Equal(copy, (string?)(await lab.GetAsync("rolebindings.rbac.authorization.k8s.io", "web", copy))["subjects"]![0]!["namespace"]);
        // One binding of the cluster for both: nobody who was bound is unbound.
        JsonArray subjects = (JsonArray)(await lab.GetAsync("clusterrolebindings.rbac.authorization.k8s.io", $"web-{lab.Id}"))["subjects"]!;
        Assert.Equal(new[] { copy, lab.Namespace }.Order(), subjects.Select(static each => (string?)each!["namespace"]).Order());
        // Nor does its webhook leave what it checks.
        Assert.Equal(
            lab.Namespace,
            (string?)(await lab.GetAsync("validatingwebhookconfigurations.admissionregistration.k8s.io", $"check-{lab.Id}"))["webhooks"]![0]!["clientConfig"]!["service"]!["namespace"]);
        Assert.Contains(results, static each => each is { Kind: "ValidatingWebhookConfiguration", Action: "Skip" });
        Assert.Contains(await lab.CompareAsync(backup, new ObjectFilter { Kinds = ["clusterrolebindings"] }), static each => each.Difference == "Changed");
        Assert.Empty(await lab.CompareAsync(
            backup, new ObjectFilter { ExcludeKinds = ["clusterrolebindings", "validatingwebhookconfigurations"] }, mapping));
        IReadOnlyList<ConfigurationRestoreResult> second = await lab.RestoreAsync(backup, new ConfigurationRestoreOptions { NamespaceMapping = mapping });
        Assert.All(second, static each => Assert.True(each.Action is "Same" or "Skip", Describe(each)));
        lab.Own("namespaces", copy);
    }

    [ClusterFact]
    public async Task BackupAndRestore_ByTheAccountsOfTheManifests_AreComplete()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        string home = lab.Namespace + "-home";
        lab.Own(home);
        foreach ((KubernetesResource resource, string name) in await RightsManifest.ApplyAsync(
            lab.Client,
            "configuration",
            ("name: smcdr\n", $"name: {home}\n"),
            ("namespace: smcdr\n", $"namespace: {home}\n"),
            ("namespace: orders", $"namespace: {lab.Namespace}"),
            ("smcdr-configuration", $"{lab.Namespace}-configuration")))
        {
            lab.Own(resource.FullName, name);
        }

        await lab.CreateAsync(
            """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"NS"},"data":{"mode":"yes"}}""",
            """{"apiVersion":"v1","kind":"Secret","metadata":{"name":"password","namespace":"NS"},"data":{"password":"aHVudGVyMg=="}}""",
            """{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"NS"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"16Mi"}}}}""",
            """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"web","namespace":"NS"},"rules":[{"apiGroups":[""],"resources":["pods/exec"],"verbs":["create"]}]}""");
        using KubernetesClient reader = RightsManifest.As(lab.Client, home, "configuration-backup");
        using KubernetesClient restorer = RightsManifest.As(lab.Client, home, "configuration-restore");

        BackupInfo backup = await lab.BackUpAsync(reader);
        SmcException refused = await Assert.ThrowsAsync<SmcException>(
            () => reader.DeleteAsync(KubernetesResource.ConfigMaps, lab.Namespace, "settings", null, default));
        await lab.DeleteNamespaceAsync();
        IReadOnlyList<ConfigurationRestoreResult> results = await lab.RestoreAsync(backup, client: restorer);

        Assert.True(backup.State == "Complete", string.Join('\n', lab.Observer.Warnings));
        Assert.Equal(SmcErrorCode.ClusterForbidden, refused.Code);
        Assert.Empty(Problems(results));
        Assert.Empty(await lab.CompareAsync(backup));
    }

    private static string[] Told(IEnumerable<ConfigurationRestoreResult> results, string action) =>
        [.. results.Where(each => each.Action == action).Select(static each => each.ToString()).Order(StringComparer.Ordinal)];

    private static bool IsNoDefault(string name) =>
        !(name.StartsWith("ServiceAccount/", StringComparison.Ordinal) && name.EndsWith("/default", StringComparison.Ordinal));

    internal static IEnumerable<string> Problems(IEnumerable<ConfigurationRestoreResult> results) =>
        results.Where(static each => each.State is "Failed" or "NeedsReplace").Select(Describe);

    internal static string Describe(ConfigurationRestoreResult result) =>
        $"{result.Action} {result.State} {result}: {result.Error} {result.Detail} {string.Join("; ", result.Changes)}";

    private static async Task DestroyAsync(ConfigurationLab lab)
    {
        await lab.DeleteNamespaceAsync();
        await lab.DeleteAsync("clusterrolebindings", $"web-{lab.Id}");
        await lab.DeleteAsync("clusterroles", $"reader-{lab.Id}");
        await lab.DeleteAsync("priorityclasses", $"urgent-{lab.Id}");
        await lab.DeleteAsync("ingressclasses", $"nginx-{lab.Id}");
        await lab.DeleteAsync("validatingwebhookconfigurations", $"check-{lab.Id}");
    }

    private static async Task WaitForPodsAsync(ConfigurationLab lab)
    {
        Assert.True(await lab.Client.WaitAsync(
            await lab.ResourceAsync("deployments.apps"), lab.Namespace, "web",
            static each => (int?)each?.Raw["status"]?["readyReplicas"] == 2, TimeSpan.FromMinutes(3), default));
        Assert.True(await lab.Client.WaitAsync(
            await lab.ResourceAsync("statefulsets.apps"), lab.Namespace, "store",
            static each => (int?)each?.Raw["status"]?["readyReplicas"] == 1, TimeSpan.FromMinutes(3), default));
    }
}
