using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Tests.Kubernetes.Workloads;

/// <summary>Where addresses lead, against a server that stands in for a cluster's.</summary>
public sealed class ClusterRouteTests
{
    private const string Ready = """
        {"kind":"Pod","apiVersion":"v1","metadata":{"name":"db-0","namespace":"shop","labels":{"app":"db"} },
        "status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]} }
        """;

    [Theory]
    [InlineData("db")]
    [InlineData("db.shop")]
    [InlineData("db.shop.svc")]
    [InlineData("db.shop.svc.cluster.local")]
    [InlineData("db-0.db.shop.svc.cluster.local")]
    public async Task FindAsync_AddressInTheNamespace_LeadsToThePod(string host)
    {
        await using FakeApiServer server = CreateServer();
        using KubernetesClient client = server.Client();

        Assert.Equal((new PodTarget("shop", "db-0"), 5432), await RouteOf(client).FindAsync(client, host, 5432, CancellationToken.None));
    }

    /// <summary>There is a Service of that name here too: another server.</summary>
    [Theory]
    [InlineData("db.production.svc")]
    [InlineData("db.production.svc.cluster.local")]
    [InlineData("db-0.db.production.svc.cluster.local")]
    public async Task FindAsync_AddressInAnotherNamespace_IsRefused(string host)
    {
        await using FakeApiServer server = CreateServer();
        using KubernetesClient client = server.Client();

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => RouteOf(client).FindAsync(client, host, 5432, CancellationToken.None));

        Assert.Equal(SmcErrorCode.SettingUnsuitable, e.Code);
        Assert.Contains("'production'", e.Message, StringComparison.Ordinal);
        Assert.Contains("'shop'", e.Message, StringComparison.Ordinal);
    }

    private static ClusterRoute RouteOf(KubernetesClient client) => new("shop", null, true, _ => Task.FromResult(client));

    private static FakeApiServer CreateServer() => new(static (context, _) => context.Request.Url!.AbsolutePath switch
    {
        "/api/v1/namespaces/shop/services/db" => FakeApiServer.SendAsync(
            context, 200, """{"kind":"Service","apiVersion":"v1","metadata":{"name":"db","namespace":"shop"},"spec":{"selector":{"app":"db"},"ports":[{"port":5432}]}}"""),
        "/api/v1/namespaces/shop/pods" => FakeApiServer.SendAsync(context, 200, $$"""{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{{Ready}}]}"""),
        "/api/v1/namespaces/shop/pods/db-0" => FakeApiServer.SendAsync(context, 200, Ready),
        var path => FakeApiServer.FailAsync(context, 404, "NotFound", "not found", $$"""{"name":"{{path[(path.LastIndexOf('/') + 1)..]}}"}"""),
    });
}
