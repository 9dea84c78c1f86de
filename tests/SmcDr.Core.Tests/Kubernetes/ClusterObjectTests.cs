using System.Net.Sockets;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes;

[Collection(ClusterGroup.Name)]
public sealed class ClusterObjectTests(ClusterFixture cluster)
{
    [ClusterFact]
    public async Task GetCatalogAsync_RealCluster_HasWhatIsNeeded()
    {
        ResourceCatalog catalog = await cluster.Client.GetCatalogAsync(true, default);

        Assert.Equal("apps/v1", catalog.Get("sts").ApiVersion);
        Assert.Contains("scale", catalog.Get("apps/v1", "StatefulSet").Subresources);
        Assert.False(catalog.Get("v1", "Namespace").IsNamespaced);
        Assert.StartsWith("v1.", await cluster.Client.GetVersionAsync(default), StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task Objects_CreatedAppliedPatchedReplacedAndDeleted_AreAsTheyShouldBe()
    {
        KubernetesClient client = cluster.Client;
        KubernetesResource kind = KubernetesResource.ConfigMaps;
        Assert.Null(await client.TryGetAsync(kind, cluster.Namespace, "life", default));
        KubernetesObject made = await client.CreateAsync(kind, Map("life", "a", "1"), false, default);
        SmcException twice = await Assert.ThrowsAsync<SmcException>(() => client.CreateAsync(kind, Map("life", "a", "1"), false, default));
        await client.PatchAsync(
            kind, cluster.Namespace, "life", PatchKind.Json, JsonNode.Parse("""[{"op":"add","path":"/data/b","value":"2"}]""")!, default);
        SmcException stale = await Assert.ThrowsAsync<SmcException>(() => client.ReplaceAsync(kind, made, false, default));
        SmcException conflict = await Assert.ThrowsAsync<SmcException>(
            () => client.ApplyAsync(kind, Map("life", "a", "other"), new ApplyOptions { FieldManager = "somebody" }, default));
        ApplyResult forced = await client.ApplyAsync(
            kind, Map("life", "a", "other"), new ApplyOptions { FieldManager = "somebody", Force = true }, default);

        Assert.Equal(SmcErrorCode.ResourceConflict, twice.Code);
        Assert.Equal(SmcErrorCode.ResourceConflict, stale.Code);
        Assert.Contains(".data.a", conflict.Message, StringComparison.Ordinal);
        Assert.True(forced.ByServer);
        Assert.Equal("other", (string?)forced.Item.Raw["data"]?["a"]);
        Assert.Equal("2", (string?)forced.Item.Raw["data"]?["b"]);
        Assert.True(await client.DeleteAsync(kind, cluster.Namespace, "life", new DeleteOptions { Uid = made.Uid }, default));
        Assert.False(await client.DeleteAsync(kind, cluster.Namespace, "life", null, default));
    }

    [ClusterFact]
    public async Task ListAsync_ManyPages_TellsEveryObjectOnce()
    {
        await Parallel.ForAsync(0, 45, async (i, token) => await cluster.Client.CreateAsync(
            KubernetesResource.ConfigMaps, Map($"page-{i:000}", "i", "x", "pages"), false, token));
        List<string> names = [];

        await foreach (KubernetesObject item in cluster.Client.ListAsync(
            KubernetesResource.ConfigMaps, cluster.Namespace, new ListOptions { LabelSelector = "app=pages", PageSize = 10 }))
        {
            names.Add(item.Name);
        }

        Assert.Equal(Enumerable.Range(0, 45).Select(static i => $"page-{i:000}"), names);
    }

    [ClusterFact]
    public async Task WaitUntilGoneAsync_FinalizerThatNobodyTakesAway_IsNamed()
    {
        KubernetesObject item = Map("held", "a", "1");
        item.Metadata!["finalizers"] = new JsonArray("example.com/keep");
        await cluster.Client.CreateAsync(KubernetesResource.ConfigMaps, item, false, default);
        await cluster.Client.DeleteAsync(KubernetesResource.ConfigMaps, cluster.Namespace, "held", null, default);

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => cluster.Client.WaitUntilGoneAsync(
            KubernetesResource.ConfigMaps, cluster.Namespace, "held", null, TimeSpan.FromSeconds(2), default));
        await cluster.Client.PatchAsync(
            KubernetesResource.ConfigMaps, cluster.Namespace, "held", PatchKind.Merge, JsonNode.Parse("""{"metadata":{"finalizers":null}}""")!, default);
        await cluster.Client.WaitUntilGoneAsync(
            KubernetesResource.ConfigMaps, cluster.Namespace, "held", null, TimeSpan.FromSeconds(30), default);

        Assert.Equal(SmcErrorCode.OperationTimedOut, failure.Code);
        Assert.Contains("example.com/keep", failure.Message, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task Deployment_ScaledAndRestarted_IsAsTold()
    {
        KubernetesClient client = cluster.Client;
        KubernetesResource kind = (await client.GetCatalogAsync(false, default)).Get("apps/v1", "Deployment");
        await client.CreateAsync(
            kind,
            ClusterFixture.Parse($$$$$"""
                {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"scaled","namespace":"{{{{{cluster.Namespace}}}}}"},
                "spec":{"replicas":0,"selector":{"matchLabels":{"app":"scaled"}},"template":{"metadata":{"labels":{"app":"scaled"}},
                "spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sleep","100000"]}]}}}}
                """),
            false,
            default);

        await client.SetScaleAsync(kind, cluster.Namespace, "scaled", 1, default);
        await client.RestartAsync(kind, cluster.Namespace, "scaled", default);

        Assert.Equal(1, await client.GetScaleAsync(kind, cluster.Namespace, "scaled", default));
        KubernetesObject now = await client.GetAsync(kind, cluster.Namespace, "scaled", default);
        Assert.NotNull(now.Raw["spec"]?["template"]?["metadata"]?["annotations"]?["kubectl.kubernetes.io/restartedAt"]);
        await client.DeleteAsync(kind, cluster.Namespace, "scaled", new DeleteOptions { Propagation = DeletePropagation.Foreground }, default);
        await client.WaitUntilGoneAsync(kind, cluster.Namespace, "scaled", now.Uid, TimeSpan.FromSeconds(60), default);
    }

    [ClusterFact]
    public async Task OpenLogAsync_Followed_ShowsWhatComes()
    {
        PodTarget pod = await cluster.PodAsync("logging", "busybox:1.35", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done");
        using StreamReader reader = new(await cluster.Client.OpenLogAsync(
            pod.Namespace, pod.Pod, new LogOptions { Container = "main", Follow = true }, default));

        Assert.Equal("line 1", await reader.ReadLineAsync());
        Assert.Equal("line 2", await reader.ReadLineAsync());
    }

    [ClusterFact]
    public async Task GetAsync_ServerWhoseCertificateIsOfAnotherName_IsToldWhy()
    {
        using KubernetesClient wrong = new(
            cluster.Client.Access with { TlsServerName = "other.example" }, new KubernetesClientOptions { RetryTime = TimeSpan.Zero });
        using KubernetesClient unknown = new(
            cluster.Client.Access with { Authorities = null }, new KubernetesClientOptions { RetryTime = TimeSpan.Zero });
        using KubernetesClient right = new(cluster.Client.Access with { TlsServerName = "kubernetes.default.svc" });

        Assert.Contains(
            "not for 'other.example'",
            (await Assert.ThrowsAsync<SmcException>(() => wrong.GetVersionAsync(default))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "authority",
            (await Assert.ThrowsAsync<SmcException>(() => unknown.GetVersionAsync(default))).Message, StringComparison.Ordinal);
        Assert.NotEmpty(await right.GetVersionAsync(default));
    }

    [ClusterFact]
    public async Task GetAsync_UserWithoutTheRight_NamesVerbResourceNamespaceAndUser()
    {
        using KubernetesClient client = new(
            cluster.Client.Access with { Impersonation = new Impersonation("carol", null, ["x", "y"], new Dictionary<string, IReadOnlyList<string>>()) });

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => client.GetAsync(KubernetesResource.Secrets, cluster.Namespace, "any", default));
        SmcException exec = await Assert.ThrowsAsync<SmcException>(
            () => client.RunAsync(new PodTarget(cluster.Namespace, "any"), ["true"], default));

        Assert.Equal(SmcErrorCode.ClusterForbidden, failure.Code);
        Assert.Contains($"'carol' may not get 'secrets' in the namespace '{cluster.Namespace}'", failure.Message, StringComparison.Ordinal);
        Assert.Contains("pods/exec", exec.Message, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task Forward_ManyConnectionsAtOnce_EachHasItsOwn()
    {
        // cat behind nc: what comes in goes out.
        PodTarget pod = await cluster.PodAsync("echoing", "busybox:1.35", "exec nc -ll -p 7000 -e cat");
        await cluster.Client.RunAsync(pod, ["sh", "-c", "until netstat -tln | grep -q ':7000 '; do sleep 0.1; done"], default);
        await using PodPortForwarder forwarder = cluster.Client.Forward(pod, 7000);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(async number =>
        {
            byte[] data = new byte[2_000_000];
            new Random(number).NextBytes(data);
            using TcpClient client = new("127.0.0.1", forwarder.LocalPort);
            Task sending = client.GetStream().WriteAsync(data).AsTask();
            byte[] back = new byte[data.Length];
            await client.GetStream().ReadExactlyAsync(back);
            await sending;
            Assert.Equal(data, back);
        }));

        Assert.Null(forwarder.LastFailure);
    }

    [ClusterFact]
    public async Task ConnectAsync_PortThatNobodyListensOn_IsAnErrorAndNotAnEnd()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        await using PodPortForwarder forwarder = cluster.Client.Forward(pod, 4999);
        using TcpClient client = new("127.0.0.1", forwarder.LocalPort);

        await Assert.ThrowsAnyAsync<IOException>(async () => await client.GetStream().ReadExactlyAsync(new byte[1]));
        await using PodPortStream? stream = await ConnectAsync(pod);
        SmcException failure = stream is null
            ? forwarder.LastFailure!
            : await Assert.ThrowsAsync<SmcException>(async () => await stream.ReadExactlyAsync(new byte[1]));

        Assert.Equal(SmcErrorCode.PodStreamBroken, failure.Code);
        Assert.Contains("4999", failure.Message, StringComparison.Ordinal);
        Assert.Contains("refused", failure.Message, StringComparison.Ordinal);
    }

    private async Task<PodPortStream?> ConnectAsync(PodTarget pod)
    {
        try
        {
            return await cluster.Client.ConnectAsync(pod, 4999, default);
        }
        catch (SmcException)
        {
            return null;
        }
    }

    private KubernetesObject Map(string name, string key, string value, string app = "map") => ClusterFixture.Parse(
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"{{{cluster.Namespace}}}","labels":{"app":"{{{app}}}"}},"data":{"{{{key}}}":"{{{value}}}"}}""");
}
