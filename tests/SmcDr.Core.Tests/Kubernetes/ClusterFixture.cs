using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>A namespace of its own in the cluster that <c>SMCDR_TEST_KUBECONFIG</c> names, with pods to talk to. It is deleted at the end.</summary>
public sealed class ClusterFixture : IAsyncLifetime
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly HashSet<string> _pods = [];
    private KubernetesClient? _client;

    public string Namespace { get; } = $"smcdr-test-{Guid.NewGuid().ToString("N")[..8]}";

    public static string? Kubeconfig => Environment.GetEnvironmentVariable(ClusterFactAttribute.Variable);

    public KubernetesClient Client => _client ?? throw new InvalidOperationException("There is no cluster.");

    public async Task InitializeAsync()
    {
        if (string.IsNullOrEmpty(Kubeconfig) || !File.Exists(Kubeconfig))
        {
            return;
        }

        _client = await KubernetesClient.CreateAsync(new KubeconfigOptions { Path = Kubeconfig, Namespace = Namespace });
        await _client.CreateAsync(
            KubernetesResource.Namespaces, Parse($$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{Namespace}}}"}}"""), false, default);
        // A pod is admitted when its account is there, which is made a moment after the namespace.
        Assert.True(await _client.WaitAsync(
            new KubernetesResource { Version = "v1", Plural = "serviceaccounts", Kind = "ServiceAccount", IsNamespaced = true },
            Namespace, "default", static account => account is not null, TimeSpan.FromSeconds(60), default));
    }

    public async Task DisposeAsync()
    {
        if (_client is not null)
        {
            foreach (string pod in _pods)
            {
                await _client.DeleteAsync(KubernetesResource.Pods, Namespace, pod, new DeleteOptions { GracePeriod = TimeSpan.Zero }, default);
            }

            await _client.DeleteAsync(KubernetesResource.Namespaces, null, Namespace, null, default);
            _client.Dispose();
        }
    }

    public static KubernetesObject Parse(string json) => new((JsonObject)JsonNode.Parse(json)!);

    public PodTarget Target(string pod) => new(Namespace, pod, "main");

    /// <summary>A pod of busybox 1.35, which sleeps.</summary>
    public Task<PodTarget> BusyboxAsync() => PodAsync("busybox", "busybox:1.35", "exec sleep 100000");

    /// <summary>A pod with coreutils, which sleeps.</summary>
    public Task<PodTarget> CoreutilsAsync() => PodAsync("coreutils", "postgres:15", "exec sleep 100000");

    /// <summary>A pod that runs until it is deleted; there is one of a name.</summary>
    public async Task<PodTarget> PodAsync(string name, string image, string script)
    {
        await _gate.WaitAsync();
        try
        {
            if (_pods.Add(name))
            {
                JsonObject pod = new()
                {
                    ["apiVersion"] = "v1",
                    ["kind"] = "Pod",
                    ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = Namespace, ["labels"] = new JsonObject { ["app"] = name } },
                    ["spec"] = new JsonObject
                    {
                        ["terminationGracePeriodSeconds"] = 0,
                        ["containers"] = new JsonArray(new JsonObject
                        {
                            ["name"] = "main",
                            ["image"] = image,
                            ["imagePullPolicy"] = "IfNotPresent",
                            ["command"] = new JsonArray("sh", "-c", script),
                        }),
                    },
                };
                await Client.CreateAsync(KubernetesResource.Pods, new KubernetesObject(pod), false, default);
            }

            Assert.True(
                await Client.WaitAsync(
                    KubernetesResource.Pods,
                    Namespace,
                    name,
                    static current => (string?)current?.Raw["status"]?["phase"] == "Running",
                    TimeSpan.FromSeconds(90),
                    default),
                $"The pod {name} does not run.");
            return Target(name);
        }
        finally
        {
            _gate.Release();
        }
    }
}
