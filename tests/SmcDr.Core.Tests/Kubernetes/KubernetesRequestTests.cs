using System.Net;
using System.Net.WebSockets;
using System.Text;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes;

public sealed class KubernetesRequestTests
{
    private const string Pod = """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"apps"}}""";

    [Fact]
    public async Task GetAsync_ServerBusy_WaitsAsItSaysAndAsksAgain()
    {
        int number = 0;
        await using FakeApiServer server = new((context, _) =>
        {
            if (++number < 3)
            {
                context.Response.Headers["Retry-After"] = "0";
                return FakeApiServer.FailAsync(context, 429, "TooManyRequests", "busy");
            }

            return FakeApiServer.SendAsync(context, 200, Pod);
        });
        using KubernetesClient client = server.Client();

        KubernetesObject pod = await client.GetAsync(KubernetesResource.Pods, "apps", "web", default);

        Assert.Equal("web", pod.Name);
        Assert.Equal(3, server.Requests.Length);
    }

    [Fact]
    public async Task GetAsync_ServerFailsForAMoment_IsAskedAgain()
    {
        int number = 0;
        await using FakeApiServer server = new((context, _) => ++number < 3
            ? FakeApiServer.SendAsync(context, 503, "<html>no server</html>", "text/html")
            : FakeApiServer.SendAsync(context, 200, Pod));
        using KubernetesClient client = server.Client();

        await client.GetAsync(KubernetesResource.Pods, "apps", "web", default);

        Assert.Equal(3, number);
    }

    [Fact]
    public async Task CreateAsync_ServerFailsAfterItMayHaveDoneIt_IsNotRepeated()
    {
        await using FakeApiServer server = new((context, _) => FakeApiServer.FailAsync(context, 500, "InternalError", "etcd has no leader"));
        using KubernetesClient client = server.Client();

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => client.CreateAsync(KubernetesResource.Pods, ClusterFixture.Parse(Pod), false, default));

        Assert.Equal(SmcErrorCode.ClusterUnavailable, failure.Code);
        Assert.Contains("etcd has no leader", failure.Message, StringComparison.Ordinal);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task CreateAsync_ServerBusyBeforeItBegan_IsRepeated()
    {
        int number = 0;
        await using FakeApiServer server = new((context, _) => ++number == 1
            ? FakeApiServer.FailAsync(context, 429, "TooManyRequests", "busy")
            : FakeApiServer.SendAsync(context, 201, Pod));
        using KubernetesClient client = server.Client();

        await client.CreateAsync(KubernetesResource.Pods, ClusterFixture.Parse(Pod), false, default);

        Assert.Equal(2, number);
    }

    [Fact]
    public async Task GetAsync_TokenThatHasExpired_IsReadAgainOnceAndThenToldWithoutTheToken()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "old-secret");
            await using FakeApiServer server = new((context, _) => context.Request.Headers["Authorization"] == "Bearer new-secret"
                ? FakeApiServer.SendAsync(context, 200, Pod)
                : FakeApiServer.FailAsync(context, 401, "Unauthorized", "Unauthorized"));
            using FileCredential credential = new("user 'alice'", TimeProvider.System) { TokenFile = file };
            using KubernetesClient client = server.Client(credential);

            SmcException failure = await Assert.ThrowsAsync<SmcException>(
                () => client.GetAsync(KubernetesResource.Pods, "apps", "web", default));
            File.WriteAllText(file, "new-secret");
            KubernetesObject pod = await client.GetAsync(KubernetesResource.Pods, "apps", "web", default);

            Assert.Equal(SmcErrorCode.ClusterAuthenticationFailed, failure.Code);
            Assert.Contains(file, failure.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("old-secret", failure.ToString(), StringComparison.Ordinal);
            Assert.Equal("web", pod.Name);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData(403, "Forbidden", "pods is forbidden: User \\\"bob\\\" cannot list resource \\\"deployments\\\" in API group \\\"apps\\\" in the namespace \\\"prod\\\"", "{}", SmcErrorCode.ClusterForbidden, "'bob' may not list 'deployments' of the API group 'apps' in the namespace 'prod'")]
    [InlineData(403, "Forbidden", "pods \\\"web\\\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5", "{}", SmcErrorCode.QuotaExceeded, "exceeded quota: small")]
    [InlineData(403, "Forbidden", "pods \\\"web\\\" is forbidden: unable to create new content in namespace apps because it is being terminated", """{"causes":[{"reason":"NamespaceTerminating"}]}""", SmcErrorCode.ResourceConflict, "is being deleted")]
    [InlineData(400, "BadRequest", "admission webhook \\\"policy.example\\\" denied the request: no latest tag", "{}", SmcErrorCode.AdmissionRefused, "no latest tag")]
    [InlineData(500, "InternalError", "Internal error occurred: failed calling webhook \\\"policy.example\\\": connection refused", "{}", SmcErrorCode.AdmissionRefused, "could not be asked")]
    [InlineData(404, "NotFound", "namespaces \\\"apps\\\" not found", """{"name":"apps","kind":"namespaces"}""", SmcErrorCode.ResourceNotFound, "no namespace 'apps'")]
    [InlineData(409, "AlreadyExists", "pods \\\"web\\\" already exists", """{"name":"web","kind":"pods"}""", SmcErrorCode.ResourceConflict, "already")]
    [InlineData(409, "Conflict", "Apply failed", """{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl\"","field":".spec.replicas"}]}""", SmcErrorCode.ResourceConflict, ".spec.replicas")]
    [InlineData(422, "Invalid", "Pod \\\"web\\\" is invalid: spec.containers: Required value", "{}", SmcErrorCode.ResourceInvalid, "spec.containers")]
    public async Task CreateAsync_Refused_IsTheErrorThatSaysWhatToDo(
        int code, string reason, string message, string details, SmcErrorCode expected, string text)
    {
        await using FakeApiServer server = new((context, _) => FakeApiServer.FailAsync(context, code, reason, message, details));
        using KubernetesClient client = server.Client();

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => client.CreateAsync(KubernetesResource.Pods, ClusterFixture.Parse(Pod), false, default));

        Assert.Equal(expected, failure.Code);
        Assert.Contains(text, failure.Message, StringComparison.Ordinal);
        Assert.NotEmpty(failure.Recommendation);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task CreateAsync_SecretThatIsInvalid_ShowsTheFieldAndNotTheValue()
    {
        await using FakeApiServer server = new((context, _) => FakeApiServer.FailAsync(
            context, 422, "Invalid", "Secret is invalid: data[x]: Invalid value: \\\"hunter2\\\"",
            """{"causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"hunter2\"","field":"data[x]"}]}"""));
        using KubernetesClient client = server.Client();

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => client.CreateAsync(KubernetesResource.Secrets, ClusterFixture.Parse(Pod), false, default));

        Assert.Contains("data[x]", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetAsync_NobodyThere_NamesTheServer()
    {
        FakeApiServer server = new((_, _) => Task.CompletedTask);
        await server.DisposeAsync();
        using KubernetesClient client = server.Client(options: new KubernetesClientOptions { RetryTime = TimeSpan.Zero });

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => client.GetVersionAsync(default));

        Assert.Equal(SmcErrorCode.ClusterUnavailable, failure.Code);
        Assert.Contains($"http://127.0.0.1:{server.Port}", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ListAsync_TokenExpiredWithAnother_GoesOnBehindTheLastObject()
    {
        await using FakeApiServer server = new((context, _) => context.Request.QueryString["continue"] switch
        {
            null => FakeApiServer.SendAsync(context, 200, List("one", "a", "b")),
            "one" => FakeApiServer.SendAsync(
                context, 410, """{"kind":"Status","status":"Failure","code":410,"reason":"Expired","metadata":{"continue":"two"}}"""),
            _ => FakeApiServer.SendAsync(context, 200, List(null, "c")),
        });
        using KubernetesClient client = server.Client();

        Assert.Equal(["a", "b", "c"], await NamesAsync(client));
    }

    [Fact]
    public async Task ListAsync_TokenExpiredForGood_BeginsAnewAndTellsNothingTwice()
    {
        int firsts = 0;
        await using FakeApiServer server = new((context, _) => context.Request.QueryString["continue"] switch
        {
            null => FakeApiServer.SendAsync(context, 200, ++firsts == 1 ? List("one", "a", "b") : List("two", "a", "b2")),
            "one" => FakeApiServer.FailAsync(context, 410, "Expired", "too old"),
            _ => FakeApiServer.SendAsync(context, 200, List(null, "c")),
        });
        using KubernetesClient client = server.Client();

        Assert.Equal(["a", "b", "b2", "c"], await NamesAsync(client));
    }

    [Fact]
    public async Task WatchAsync_CutResumedExpiredAndListedAnew_TellsAllOfIt()
    {
        int lists = 0, watches = 0;
        await using FakeApiServer server = new(async (context, _) =>
        {
            if (context.Request.QueryString["watch"] is null)
            {
                await FakeApiServer.SendAsync(context, 200, ++lists == 1 ? List(null, "a") : List(null, "b"));
                return;
            }

            string version = context.Request.QueryString["resourceVersion"]!;
            string text = ++watches switch
            {
                1 => Event("MODIFIED", "a", "11") + """{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12"}}}""" + "\n"
                    + "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"cut",
                2 => version == "12" ? Event("ADDED", "c", "13") : Event("ADDED", "resumed at " + version, "13"),
                3 => """{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"reason":"Expired"}}""" + "\n",
                _ => Event("DELETED", "b", "21"),
            };
            await FakeApiServer.SendAsync(context, 200, text);
        });
        using KubernetesClient client = server.Client();
        List<string> told = [];

        await foreach (WatchEvent each in client.WatchAsync(KubernetesResource.Pods, "apps"))
        {
            told.Add($"{each.Kind} {each.Item?.Name}".Trim());
            if (each.Kind == WatchEventKind.Deleted)
            {
                break;
            }
        }

        Assert.Equal(["Added a", "Synced", "Modified a", "Added c", "Restarted", "Added b", "Synced", "Deleted b"], told);
    }

    [Fact]
    public async Task GetCatalogAsync_GroupThatDoesNotAnswer_IsToldAndHindersNothing()
    {
        await using FakeApiServer server = new((context, _) => context.Request.Url!.AbsolutePath switch
        {
            "/api" => FakeApiServer.SendAsync(context, 200, """{"kind":"APIVersions","versions":["v1"]}"""),
            "/apis" => FakeApiServer.SendAsync(context, 200, """
                {"kind":"APIGroupList","groups":[
                {"name":"apps","versions":[{"version":"v1beta1"},{"version":"v1"}],"preferredVersion":{"version":"v1"}},
                {"name":"metrics.k8s.io","versions":[{"version":"v1"}],"preferredVersion":{"version":"v1"}}]}
                """),
            "/api/v1" => FakeApiServer.SendAsync(context, 200, """{"resources":[{"name":"pods","kind":"Pod","namespaced":true,"shortNames":["po"],"verbs":["list"]},{"name":"pods/log","kind":"Pod","namespaced":true,"verbs":["get"]}]}"""),
            "/apis/metrics.k8s.io/v1" => FakeApiServer.SendAsync(context, 503, "service unavailable", "text/plain"),
            _ => FakeApiServer.SendAsync(context, 200, """{"resources":[{"name":"deployments","singularName":"deployment","kind":"Deployment","namespaced":true,"shortNames":["deploy"],"verbs":["list"]}]}"""),
        });
        using KubernetesClient client = server.Client(options: new KubernetesClientOptions { RetryTime = TimeSpan.Zero });

        ResourceCatalog catalog = await client.GetCatalogAsync(false, default);

        Assert.False(catalog.IsAggregated);
        Assert.Equal("metrics.k8s.io/v1", Assert.Single(catalog.Unavailable).ApiVersion);
        Assert.Equal(["log"], catalog.Get("po").Subresources);
        foreach (string name in new[] { "deploy", "deployment", "Deployment", "deployments.apps", "deployments.v1.apps" })
        {
            Assert.Equal("apps/v1", catalog.Get(name).ApiVersion);
        }

        Assert.Equal("apps/v1beta1", catalog.Get("deployments.v1beta1.apps").ApiVersion);
        SmcException failure = Assert.Throws<SmcException>(() => catalog.Get("metrics.k8s.io/v1", "NodeMetrics"));
        Assert.Contains("metrics.k8s.io/v1", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetCatalogAsync_ServerThatTellsAllAtOnce_IsAskedTwice()
    {
        const string Type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        await using FakeApiServer server = new((context, _) => FakeApiServer.SendAsync(
            context,
            200,
            context.Request.Url!.AbsolutePath == "/api"
                ? """{"kind":"APIGroupDiscoveryList","items":[{"metadata":{},"versions":[{"version":"v1","freshness":"Current","resources":[{"resource":"pods","responseKind":{"kind":"Pod"},"scope":"Namespaced","verbs":["get"],"subresources":[{"subresource":"log"}]}]}]}]}"""
                : """{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"dead.example"},"versions":[{"version":"v1","freshness":"Stale","resources":[]}]}]}""",
            Type));
        using KubernetesClient client = server.Client();

        ResourceCatalog catalog = await client.GetCatalogAsync(false, default);

        Assert.True(catalog.IsAggregated);
        Assert.Equal(2, server.Requests.Length);
        Assert.True(catalog.Get("v1", "Pod").IsNamespaced);
        Assert.Equal("dead.example/v1", Assert.Single(catalog.Unavailable).ApiVersion);
    }

    [Fact]
    public async Task ApplyAsync_ServerWithoutServerSideApply_CreatesTheObject()
    {
        await using FakeApiServer server = new((context, _) => context.Request.HttpMethod switch
        {
            "PATCH" => FakeApiServer.FailAsync(context, 415, "UnsupportedMediaType", "the body of the request was in an unknown format"),
            "GET" => FakeApiServer.FailAsync(context, 404, "NotFound", "not found", """{"name":"web","kind":"pods"}"""),
            _ => FakeApiServer.SendAsync(context, 201, Pod),
        });
        using KubernetesClient client = server.Client();

        ApplyResult result = await client.ApplyAsync(KubernetesResource.Pods, ClusterFixture.Parse(Pod), null, default);

        Assert.False(result.ByServer);
        Assert.Equal(["PATCH", "GET", "POST"], server.Requests.Select(static request => request.Split(' ')[0]));
    }

    [Theory]
    [InlineData("v1.20.2", true)]
    [InlineData("v1.30.1", false)]
    public async Task ExecAsync_BulkWhereSpdyIsNotSpoken_GoesOverAWebSocket(string version, bool isAsked)
    {
        int refused = 0;
        await using FakeApiServer server = new(async (context, _) =>
        {
            if (context.Request.Url!.AbsolutePath == "/version")
            {
                await FakeApiServer.SendAsync(context, 200, $$"""{"gitVersion":"{{version}}"}""");
            }
            else if (!context.Request.IsWebSocketRequest)
            {
                refused++;
                await FakeApiServer.FailAsync(context, 400, "BadRequest", "unable to upgrade");
            }
            else
            {
                using WebSocket socket = (await context.AcceptWebSocketAsync("v4.channel.k8s.io")).WebSocket;
                await socket.SendAsync(Encoding.ASCII.GetBytes("\u0003{\"status\":\"Success\"}"), WebSocketMessageType.Binary, true, default);
                await CloseAsync(socket);
            }
        });
        using KubernetesClient client = server.Client();

        for (int i = 0; i < 2; i++)
        {
            await using PodProcess process = await client.ExecAsync(new PodTarget("apps", "web"), ["true"], new ExecOptions { IsBulk = true }, default);
            Assert.Equal((0, "v4.channel.k8s.io"), (await process.WaitAsync(default), process.Protocol));
        }

        // Once it is known it is not tried again.
        Assert.Equal(isAsked ? 1 : 0, refused);
    }

    [Theory]
    [InlineData("v5.channel.k8s.io", false, false)]
    [InlineData("v4.channel.k8s.io", false, false)]
    [InlineData("v5.channel.k8s.io", true, true)]
    public async Task ExecAsync_ConnectionThatEndsWithOrWithoutAStatus_IsCleanOnlyWithOne(string protocol, bool hasStatus, bool isClean)
    {
        await using FakeApiServer server = new(async (context, _) =>
        {
            using WebSocket socket = (await context.AcceptWebSocketAsync(protocol)).WebSocket;
            await socket.SendAsync(Encoding.ASCII.GetBytes("\u0001all of it"), WebSocketMessageType.Binary, true, default);
            if (hasStatus)
            {
                await socket.SendAsync(Encoding.ASCII.GetBytes("\u0003{\"status\":\"Success\"}"), WebSocketMessageType.Binary, true, default);
            }

            await CloseAsync(socket);
        });
        using KubernetesClient client = server.Client();
        await using PodProcess process = await client.ExecAsync(new PodTarget("apps", "web"), ["true"], null, default);

        using MemoryStream output = new();
        if (isClean)
        {
            await process.StandardOutput.CopyToAsync(output);
            Assert.Equal("all of it", Encoding.ASCII.GetString(output.ToArray()));
            Assert.Equal(0, await process.WaitAsync(default));
        }
        else
        {
            SmcException read = await Assert.ThrowsAsync<SmcException>(() => process.StandardOutput.CopyToAsync(output));
            SmcException waited = await Assert.ThrowsAsync<SmcException>(() => process.WaitAsync(default));
            Assert.Equal((SmcErrorCode.PodStreamBroken, SmcErrorCode.PodStreamBroken), (read.Code, waited.Code));
        }
    }

    [Fact]
    public async Task CloseInputAsync_ServerWithV5_IsToldOfTheEndOfTheInputAlone()
    {
        List<byte[]> heard = [];
        await using FakeApiServer server = new(async (context, _) =>
        {
            using WebSocket socket = (await context.AcceptWebSocketAsync("v5.channel.k8s.io")).WebSocket;
            byte[] buffer = new byte[200_000];
            do
            {
                int length = 0;
                ValueWebSocketReceiveResult received;
                do
                {
                    received = await socket.ReceiveAsync(buffer.AsMemory(length), default);
                    length += received.Count;
                }
                while (!received.EndOfMessage);
                heard.Add(buffer[..length]);
            }
            while (heard[^1][0] != 255);

            await socket.SendAsync(Encoding.ASCII.GetBytes("\u0003{\"status\":\"Success\"}"), WebSocketMessageType.Binary, true, default);
            await CloseAsync(socket);
        });
        using KubernetesClient client = server.Client();
        await using PodProcess process = await client.ExecAsync(new PodTarget("apps", "web"), ["cat"], new ExecOptions { Input = true }, default);

        await process.StandardInput.WriteAsync(new byte[100_000]);
        await process.CloseInputAsync(default);

        Assert.True(process.CanCloseInput);
        Assert.Equal(0, await process.WaitAsync(default));
        Assert.Equal(new byte[] { 255, 0 }, heard[^1]);
        Assert.Equal(100_000, heard.SkipLast(1).Sum(static message => message.Length - 1));
        Assert.All(heard.SkipLast(1), static message => Assert.InRange(message.Length, 2, PodChannels.MaximumPayload + 1));
    }

    private static async Task CloseAsync(WebSocket socket)
    {
        try
        {
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, default);
        }
        catch (WebSocketException)
        {
            // The client has heard all that it needs, and need not stay for the farewell.
        }
    }

    private static string List(string? token, params string[] names)
    {
        string items = string.Join(',', names.Select(static name => $"{{\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"apps\"}}}}"));
        return "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"" + token + "\"},\"items\":[" + items + "]}";
    }

    private static string Event(string type, string name, string version) =>
        $"{{\"type\":\"{type}\",\"object\":{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\",\"resourceVersion\":\"{version}\"}}}}}}\n";

    private static async Task<List<string>> NamesAsync(KubernetesClient client)
    {
        List<string> names = [];
        await foreach (KubernetesObject item in client.ListAsync(KubernetesResource.Pods, "apps"))
        {
            Assert.Equal(("v1", "Pod"), (item.ApiVersion, item.Kind));
            names.Add(item.Name);
        }

        return names;
    }
}
