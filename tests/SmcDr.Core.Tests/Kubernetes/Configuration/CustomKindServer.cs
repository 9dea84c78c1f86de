using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>
/// Stands in for an API server with a kind of somebody's own: the real one of the tests, a 1.20 that was compiled by a Go of today, ends when it is given a
/// custom object. It keeps what it is given, and like a real one takes a definition at once, establishes it later, and serves its kind later still
/// (apiextensions-apiserver, establishing_controller.go and customresource_discovery_controller.go).
/// </summary>
internal sealed class CustomKindServer : IAsyncDisposable
{
    public const string Group = "shop.example.com";
    private const string Definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    private readonly ConcurrentDictionary<string, JsonObject> _objects = new(StringComparer.Ordinal);
    private readonly FakeApiServer _server;
    private int _version;
    private int _looks;

    public CustomKindServer() => _server = new FakeApiServer(AnswerAsync);

    /// <summary>What of <c>/api</c> or <c>/apis</c> is answered with an error of the server's own; null = nothing.</summary>
    public string? Failing { get; set; }

    /// <summary>Whether a definition that is made is ever established.</summary>
    public bool Establishes { get; set; } = true;

    /// <summary>How often a custom object was sent before its kind was served.</summary>
    public int Early { get; private set; }

    /// <summary>Which objects were made or changed, in order.</summary>
    public ConcurrentQueue<string> Applied { get; } = [];

    public KubernetesClient Connect(KubernetesClientOptions? options = null) => _server.Client(options: options);

    /// <summary>As if all of it had been there for long.</summary>
    public void Put(string path, string json)
    {
        JsonObject item = (JsonObject)JsonNode.Parse(json)!;
        if (path.StartsWith(Definitions, StringComparison.Ordinal))
        {
            item["status"] = Condition("True");
            _looks = int.MaxValue;
        }

        Keep(path, item);
    }

    public void Remove(string path) => _objects.TryRemove(path, out _);

    /// <summary>As if the whole cluster had been lost.</summary>
    public void Clear()
    {
        _objects.Clear();
        Applied.Clear();
        _looks = 0;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static JsonObject Condition(string status) =>
        new() { ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Established", ["status"] = status }) };

    private static JsonObject Kind(string plural, string kind, bool isNamespaced) => new()
    {
        ["name"] = plural,
        ["kind"] = kind,
        ["namespaced"] = isNamespaced,
        ["verbs"] = new JsonArray("create", "delete", "get", "list", "patch", "update", "watch"),
    };

    private static Task SendAsync(HttpListenerContext context, JsonObject answer) => FakeApiServer.SendAsync(context, 200, answer.ToJsonString());

    private static Task SendKindsAsync(HttpListenerContext context, params JsonObject[] kinds) =>
        SendAsync(context, new JsonObject { ["kind"] = "APIResourceList", ["resources"] = new JsonArray([.. kinds]) });

    private bool IsServed(bool isLook)
    {
        // What is established is found by the discovery after the next.
        bool isEstablished = _objects.Any(static pair => pair.Key.StartsWith(Definitions, StringComparison.Ordinal)
            && pair.Value.ToJsonString().Contains("\"status\":\"True\"", StringComparison.Ordinal));
        if (isLook && isEstablished && _looks < int.MaxValue)
        {
            _looks++;
        }

        return isEstablished && _looks > 1;
    }

    private Task AnswerAsync(HttpListenerContext context, string body)
    {
        string path = context.Request.Url!.AbsolutePath;
        bool isPatch = context.Request.HttpMethod == "PATCH";
        if (path.StartsWith($"/apis/{Group}/", StringComparison.Ordinal) && !IsServed(false))
        {
            Early += isPatch ? 1 : 0;
            return FakeApiServer.FailAsync(context, 404, "NotFound", "the server could not find the requested resource");
        }

        if (Failing is not null && path.Contains(Failing, StringComparison.Ordinal))
        {
            return FakeApiServer.FailAsync(context, 500, "InternalError", "no matching prefix found");
        }

        return path switch
        {
            "/version" => SendAsync(context, new JsonObject { ["gitVersion"] = "v1.30.0" }),
            "/api" => SendAsync(context, new JsonObject { ["kind"] = "APIVersions", ["versions"] = new JsonArray("v1") }),
            "/api/v1" => SendKindsAsync(
                context,
                Kind("namespaces", "Namespace", false),
                Kind("configmaps", "ConfigMap", true),
                Kind("secrets", "Secret", true),
                Kind("services", "Service", true)),
            "/apis" => SendGroupsAsync(context),
            "/apis/apiextensions.k8s.io/v1" => SendKindsAsync(context, Kind("customresourcedefinitions", "CustomResourceDefinition", false)),
            $"/apis/{Group}/v1" => SendKindsAsync(context, Kind("orders", "Order", true), Kind("returns", "Return", true)),
            _ when isPatch => ApplyAsync(context, path, body),
            _ when _objects.TryGetValue(path, out JsonObject? found) => SendAsync(context, found),
            _ when path[(path.LastIndexOf('/') + 1)..] is "configmaps" or "secrets" or "services" or "orders" or "returns" or "customresourcedefinitions" => ListAsync(context, path),
            _ => FakeApiServer.FailAsync(context, 404, "NotFound", "not found", $$"""{"name":"{{path[(path.LastIndexOf('/') + 1)..]}}"}"""),
        };
    }

    private Task SendGroupsAsync(HttpListenerContext context)
    {
        string[] groups = IsServed(true) ? ["apiextensions.k8s.io", Group] : ["apiextensions.k8s.io"];
        return SendAsync(context, new JsonObject
        {
            ["kind"] = "APIGroupList",
            ["groups"] = new JsonArray([.. groups.Select(static name => new JsonObject
            {
                ["name"] = name,
                ["versions"] = new JsonArray(new JsonObject { ["groupVersion"] = $"{name}/v1", ["version"] = "v1" }),
                ["preferredVersion"] = new JsonObject { ["version"] = "v1" },
            })]),
        });
    }

    private Task ListAsync(HttpListenerContext context, string path)
    {
        string[] selector = (context.Request.QueryString["fieldSelector"] ?? "").Split('=');
        JsonObject[] found = [.. _objects
            .Where(pair => pair.Key.StartsWith(path + "/", StringComparison.Ordinal) && (selector.Length < 2 || pair.Key == $"{path}/{selector[1]}"))
            .OrderBy(static pair => pair.Key, StringComparer.Ordinal)
            .Select(static pair => (JsonObject)pair.Value.DeepClone())];
        if (context.Request.QueryString["watch"] is null)
        {
            return SendAsync(context, new JsonObject
            {
                ["kind"] = "List",
                ["apiVersion"] = "v1",
                ["metadata"] = new JsonObject { ["resourceVersion"] = Text(_version) },
                ["items"] = new JsonArray([.. found]),
            });
        }

        // Who watches a definition is told that it was established, if it ever is.
        StringBuilder events = new();
        foreach (JsonObject item in found.Where(_ => Establishes))
        {
            item["status"] = Condition("True");
            Keep($"{path}/{item["metadata"]!["name"]}", item);
            events.Append(new JsonObject { ["type"] = "MODIFIED", ["object"] = item.DeepClone() }.ToJsonString()).Append('\n');
        }

        return FakeApiServer.SendAsync(context, 200, events.ToString());
    }

    private Task ApplyAsync(HttpListenerContext context, string path, string body)
    {
        JsonObject item = (JsonObject)JsonNode.Parse(body)!;
        if (path.StartsWith(Definitions, StringComparison.Ordinal))
        {
            item["status"] = Condition("False");
        }

        if (context.Request.QueryString["dryRun"] is not null)
        {
            return SendAsync(context, item);
        }

        Applied.Enqueue(path);
        Keep(path, item);
        return SendAsync(context, item);
    }

    private void Keep(string path, JsonObject item)
    {
        JsonObject metadata = (JsonObject)item["metadata"]!;
        metadata["uid"] ??= $"uid-of-{path}";
        metadata["resourceVersion"] = Text(Interlocked.Increment(ref _version));
        _objects[path] = (JsonObject)item.DeepClone();
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
