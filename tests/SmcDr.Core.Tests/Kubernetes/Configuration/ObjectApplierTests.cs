using System.Net;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>What happens between the requests for one object, against a server that answers what a test tells it to.</summary>
public sealed class ObjectApplierTests
{
    private const string Path = "/api/v1/namespaces/apps/configmaps/settings";

    private const string Live = """
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"apps","uid":"1","resourceVersion":"VERSION",
        "managedFields":[{"manager":"somebody","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:mode":{},"f:more":{} } } }]},
        "data":{"mode":"MODE","more":"x"} }
        """;

    /// <summary>A controller that notes a state has changed the version between the apply and what is taken away behind it.</summary>
    [Fact]
    public async Task ApplyAsync_ObjectChangesBeforeFieldsAreTakenAway_TriesAgain()
    {
        int patches = 0;
        await using FakeApiServer server = new((context, body) => context.Request.HttpMethod switch
        {
            "PATCH" when context.Request.ContentType!.StartsWith("application/json-patch", StringComparison.Ordinal) => ++patches == 1
                // So answers a 1.30 where a test of a JSON patch fails.
                ? FakeApiServer.FailAsync(context, 422, "Invalid", "the server rejected our request due to an error in our request")
                : FakeApiServer.SendAsync(context, 200, Without(Item("4", "yes"))),
            "PATCH" => FakeApiServer.SendAsync(context, 200, Item("2", "yes")),
            _ => FakeApiServer.SendAsync(context, 200, Item("1", patches == 0 ? "no" : "yes")),
        });
        using KubernetesClient client = server.Client();

        ObjectOutcome outcome = await ApplierOf(client).ApplyAsync(KubernetesResource.ConfigMaps, Wanted(), mayExist: true, CancellationToken.None);

        Assert.Equal((ObjectOutcome.Change, 2), (outcome.Action, patches));
    }

    /// <summary>What was deleted to be replaced is made anew, also where the restore is stopped meanwhile.</summary>
    [Fact]
    public async Task ApplyAsync_StoppedWhileAnObjectIsReplaced_MakesItAnewFirst()
    {
        using CancellationTokenSource stop = new();
        bool isThere = true;
        List<string> made = [];
        await using FakeApiServer server = new((context, body) =>
        {
            switch (context.Request.HttpMethod)
            {
                case "PATCH" when isThere:
                    return FakeApiServer.FailAsync(context, 422, "Invalid", "field is immutable when `immutable` is set");
                case "PATCH":
                    made.Add(context.Request.Url!.AbsolutePath);
                    return FakeApiServer.SendAsync(context, 200, Without(Item("3", "yes")));
                case "DELETE":
                    isThere = false;
                    stop.Cancel();
                    return FakeApiServer.SendAsync(context, 200, """{"kind":"Status","status":"Success"}""");
                default:
                    return isThere ? FakeApiServer.SendAsync(context, 200, Item("1", "no")) : NotFoundAsync(context);
            }
        });
        using KubernetesClient client = server.Client();

        ObjectOutcome outcome = await ApplierOf(client, new ConfigurationRestoreOptions { Force = true })
            .ApplyAsync(KubernetesResource.ConfigMaps, Wanted(), mayExist: true, stop.Token);

        Assert.Equal(ObjectOutcome.Replace, outcome.Action);
        Assert.Equal([Path], made);
    }

    private static Task NotFoundAsync(HttpListenerContext context) =>
        FakeApiServer.FailAsync(context, 404, "NotFound", "not found", """{"name":"settings","kind":"configmaps"}""");

    private static ObjectApplier ApplierOf(KubernetesClient client, ConfigurationRestoreOptions? options = null) =>
        new(client, options ?? new ConfigurationRestoreOptions(), new ScaledWorkloads(), new NamespaceMapper(new Dictionary<string, string>()));

    private static KubernetesObject Wanted() => ClusterFixture.Parse(
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"apps"},"data":{"mode":"yes"}}""");

    private static string Item(string version, string mode) => Live
        .Replace("VERSION", version, StringComparison.Ordinal)
        .Replace("MODE", mode, StringComparison.Ordinal);

    private static string Without(string item)
    {
        JsonNode node = JsonNode.Parse(item)!;
        ((JsonObject)node["data"]!).Remove("more");
        return node.ToJsonString();
    }
}
