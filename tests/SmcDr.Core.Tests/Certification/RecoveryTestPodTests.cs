using System.Text.Json.Nodes;
using SmcDr.Core.Certification;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Recovery.Pods;
using SmcDr.Core.Tests.Sites;
using Xunit.Abstractions;
using YamlDotNet.Serialization;

namespace SmcDr.Core.Tests.Certification;

/// <summary>Tests of recovery in a namespace of their own of a real cluster.</summary>
public sealed class RecoveryTestPodTests(PodLab lab, ITestOutputHelper output) : IClassFixture<PodLab>
{
    private string TestNamespace => lab.Namespace + "-recovery-test";

    [ClusterFact]
    public async Task RunAsync_InANamespaceOfItsOwn_IsIsolated_FindsWhatIsWrong_AndLeavesNothing()
    {
        PodDatabase database = await lab.StartAsync("tested");
        // What production is set to must not be what the copy does: it would archive to where production does.
        await database.ExecuteAsync("ALTER SYSTEM SET archive_mode = on");
        await database.ExecuteAsync("ALTER SYSTEM SET archive_command = 'false'");
        await database.ExecuteAsync("CREATE TABLE public.trades AS SELECT i AS id FROM generate_series(1, 500) AS i");
        await BaseBackup.RunAsync(database.Connector, database.Repository, new BaseBackupOptions { Full = true }, NullObserver.Instance, default);
        WorkloadInfo before = await database.InfoAsync();

        RecoveryTestResult good = await RecoveryTest.RunAsync(Options(database), NullObserver.Instance, default);
        output.WriteLine(Describe(good));
        Assert.Equal("Passed", good.Outcome);
        Assert.Contains(new TableRowCount("postgres", "public", "trades", 500), good.Tables);
        Assert.True(good.RecoverySeconds > 0);
        Assert.Null(await FindNamespaceAsync());
        Assert.Equal(before, await database.InfoAsync());

        await database.ExecuteAsync("TRUNCATE public.trades");
        await BaseBackup.RunAsync(database.Connector, database.Repository, new BaseBackupOptions { Full = true }, NullObserver.Instance, default);
        // In a namespace that is there already, as the account that docs/kubernetes has for it.
        await ApplyRightsAsync();
        RecoveryTestResult bad = await RecoveryTest.RunAsync(
            Options(database) with { Pod = Pod(database) with { Connect = _ => Task.FromResult(AsTester()) } }, NullObserver.Instance, default);
        output.WriteLine(Describe(bad));

        Assert.Equal("Failed", bad.Outcome);
        Assert.Contains("public.trades is empty, and had 500 rows", bad.Checks.Single(static check => check.Name == "Rows").Message, StringComparison.Ordinal);
        Assert.NotNull(await FindNamespaceAsync());
        Assert.Empty(await PodsAsync());
        ResourceCatalog catalog = await lab.Cluster.Client.GetCatalogAsync(false, default);
        foreach (KubernetesResource kind in new[]
        {
            catalog.Get("apps/v1", "StatefulSet"), catalog.Get("v1", "PersistentVolumeClaim"), catalog.Get("networking.k8s.io/v1", "NetworkPolicy"),
        })
        {
            Assert.Empty(await lab.Cluster.Client.ListAsync(kind, TestNamespace).ToListAsync());
        }

        await lab.Cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, TestNamespace, null, default);
        SmcException own = await Assert.ThrowsAsync<SmcException>(() => RecoveryTest.RunAsync(
            Options(database) with { Pod = Pod(database) with { Namespace = lab.Namespace } }, NullObserver.Instance, default));
        SmcException foreign = await Assert.ThrowsAsync<SmcException>(() => RecoveryTest.RunAsync(
            Options(database) with { Pod = Pod(database) with { Namespace = "default" } }, NullObserver.Instance, default));
        Assert.Equal((SmcErrorCode.ArgumentInvalid, SmcErrorCode.ResourceConflict), (own.Code, foreign.Code));
        Assert.Equal(2, (await RecoveryCertificates.ListAsync(database.Repository, "shop", 10, NullObserver.Instance, default)).Count);
    }

    [ClusterFact]
    public async Task TestRecovery_Killed_IsCleanedUpByTheNext()
    {
        using TemporaryDirectory directory = new();
        PodDatabase database = await lab.StartAsync("killed");
        string path = Path.Combine(directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(path, $$"""
            name: shop
            repository: { location: "file://{{directory.Path}}/repository" }
            regions:
              here:
                role: primary
                kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{lab.Namespace}} }
                database:
                  connection: "Host=killed.{{lab.Namespace}}.svc.cluster.local;Username=postgres;Database=postgres"
                  password: env:SMCDR_TEST_PASSWORD
                  workload: statefulset/killed
            """);
        Dictionary<string, string> environment = new() { ["SMCDR_TEST_PASSWORD"] = "not-so-secret" };
        (int exitCode, string text, string error) = await SmcdrProcess.RunAsync(environment, "--site", path, "backup", "database");
        Assert.True(exitCode == 0, error + text);
        using (SmcdrProcess process = SmcdrProcess.Start(environment, "--site", path, "test", "recovery", "--in-cluster"))
        {
            Assert.True(await UntilAsync(async () => await PodsAsync() is [var pod] && (string?)pod.Raw["status"]?["phase"] == "Running"));
            Assert.True(await process.KillAsync());
        }

        KubernetesObject left = Assert.Single(await PodsAsync());
        (exitCode, text, error) = await SmcdrProcess.RunAsync(environment, "--site", path, "test", "recovery", "--in-cluster", "--verbose");
        output.WriteLine(error + text);

        Assert.Equal(0, exitCode);
        Assert.Contains("left by a", error, StringComparison.Ordinal);
        Assert.Contains(left.Name["smcdr-restore-".Length..], error, StringComparison.Ordinal);
        Assert.Null(await FindNamespaceAsync());
        Assert.Equal("Running", (await database.InfoAsync()).State);
    }

    private async Task ApplyRightsAsync()
    {
        string path = Path.Combine(SiteFileTests.FindRoot(), "docs", "kubernetes", "rbac-recovery-test.yaml");
        ResourceCatalog catalog = await lab.Cluster.Client.GetCatalogAsync(false, default);
        foreach (string document in (await File.ReadAllTextAsync(path)).Replace("smc-trading", lab.Namespace, StringComparison.Ordinal).Split("\n---\n"))
        {
            object? parsed = new DeserializerBuilder().Build().Deserialize<object>(document);
            KubernetesObject item = new((JsonObject)JsonNode.Parse(new SerializerBuilder().JsonCompatible().Build().Serialize(parsed))!);
            await lab.Cluster.Client.ApplyAsync(catalog.Get(item.ApiVersion, item.Kind), item, null, default);
        }
    }

    private KubernetesClient AsTester() => new(lab.Cluster.Client.Access with
    {
        Impersonation = new Impersonation(
            $"system:serviceaccount:{lab.Namespace}:smcdr-recovery-test", null, ["system:serviceaccounts", "system:authenticated"],
            new Dictionary<string, IReadOnlyList<string>>()),
    });

    private RecoveryTestOptions Options(PodDatabase database) => new()
    {
        Repository = database.Repository,
        Site = "shop",
        Pod = Pod(database),
        Checks =
        [
            Setting("archive_mode", "off"),
            Setting("listen_addresses", "127.0.0.1"),
            Setting("max_logical_replication_workers", "0"),
            Setting("primary_conninfo", ""),
        ],
    };

    private static SqlCheck Setting(string name, string value) => new() { Query = $"select count(*) from pg_settings where name = '{name}' and setting = '{value}'", Expect = "= 1" };

    private PodSideInstanceOptions Pod(PodDatabase database) => new()
    {
        Connect = _ => Task.FromResult(new KubernetesClient(lab.Cluster.Client.Access)),
        SourceNamespace = lab.Namespace,
        Workload = database.Workload,
        Namespace = TestNamespace,
        Helper = new HelperPodOptions { Silence = TimeSpan.FromSeconds(5), Heartbeat = TimeSpan.FromSeconds(2) },
    };

    private Task<KubernetesObject?> FindNamespaceAsync() => lab.Cluster.Client.TryGetAsync(KubernetesResource.Namespaces, null, TestNamespace, default);

    private async Task<List<KubernetesObject>> PodsAsync() =>
        await lab.Cluster.Client.ListAsync(KubernetesResource.Pods, TestNamespace).ToListAsync();

    private static async Task<bool> UntilAsync(Func<Task<bool>> isSo)
    {
        for (int i = 0; i < 600; i++)
        {
            if (await isSo())
            {
                return true;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }

        return false;
    }

    private static string Describe(RecoveryTestResult result) =>
        string.Join('\n', result.Checks.Select(static check => $"{check.Outcome} {check.Name}: {check.Message}"));
}
