using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// A client of one cluster. Objects are JSON with a small head: what this product does with them is to keep and to compare them whole, whatever
/// kinds a cluster has. Safe for concurrent use.
/// </summary>
public sealed partial class KubernetesClient : IDisposable
{
    private readonly ClusterTransport _transport;
    private readonly TimeProvider _time;
    private readonly IOperationObserver _observer;
    private readonly SemaphoreSlim _catalogGate = new(1, 1);
    private ResourceCatalog? _catalog;

    public KubernetesClient(ClusterAccess access, KubernetesClientOptions? options = null, IOperationObserver? observer = null)
        : this(access, options, observer, TimeProvider.System)
    {
    }

    internal KubernetesClient(ClusterAccess access, KubernetesClientOptions? options, IOperationObserver? observer, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(access);
        Options = options ?? new KubernetesClientOptions();
        _observer = observer ?? NullObserver.Instance;
        _time = time;
        _transport = new ClusterTransport(access, Options, time);
    }

    public ClusterAccess Access => _transport.Access;

    public KubernetesClientOptions Options { get; }

    /// <summary>Makes a client of the cluster that <paramref name="kubeconfig"/> says. Nothing is sent yet.</summary>
    public static async Task<KubernetesClient> CreateAsync(
        KubeconfigOptions kubeconfig,
        KubernetesClientOptions? options = null,
        IOperationObserver? observer = null,
        CancellationToken cancellationToken = default) =>
        new(await Kubeconfig.LoadAsync(kubeconfig, cancellationToken).ConfigureAwait(false), options, observer);

    /// <summary>The version of the API server, such as <c>v1.20.2</c>.</summary>
    public async Task<string> GetVersionAsync(CancellationToken cancellationToken)
    {
        byte[] body = await _transport.SendAsync(new ApiRequest(HttpMethod.Get, "/version"), cancellationToken).ConfigureAwait(false);
        return (string?)ParseObject(body, "/version")["gitVersion"] ?? "";
    }

    /// <summary>Which kinds the cluster has; asked once.</summary>
    /// <param name="refresh">Whether it is asked again, as after a CustomResourceDefinition was made.</param>
    public async Task<ResourceCatalog> GetCatalogAsync(bool refresh, CancellationToken cancellationToken)
    {
        await _catalogGate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (refresh || _catalog is null)
            {
                _catalog = await new Discovery(_transport).RunAsync(cancellationToken).ConfigureAwait(false);
                foreach (UnavailableApi api in _catalog.Unavailable)
                {
                    _observer.Warning($"The cluster '{Access.Display}' cannot tell what '{api.ApiVersion}' has: {api.Reason.TrimEnd('.')}.");
                }
            }

            return _catalog;
        }
        finally
        {
            _catalogGate.Release();
        }
    }

    /// <summary>Gets an object.</summary>
    /// <exception cref="SmcException">There is none, or the cluster cannot be asked.</exception>
    public async Task<KubernetesObject> GetAsync(
        KubernetesResource resource, string? @namespace, string name, CancellationToken cancellationToken) =>
        await SendAsync(Request(HttpMethod.Get, "get", resource, @namespace, name), cancellationToken).ConfigureAwait(false);

    /// <summary>Gets an object; null where there is none.</summary>
    public async Task<KubernetesObject?> TryGetAsync(
        KubernetesResource resource, string? @namespace, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await GetAsync(resource, @namespace, name, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (IsObjectMissing(e))
        {
            return null;
        }
    }

    /// <summary>Makes an object, in the namespace that it names.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ResourceConflict"/>: it is there already.</exception>
    public Task<KubernetesObject> CreateAsync(
        KubernetesResource resource, KubernetesObject item, bool dryRun, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(item);
        ApiRequest request = Request(HttpMethod.Post, "create", resource, item.Namespace, null, null, DryRun(dryRun));
        return SendAsync(
            request with { Name = item.Name.Length > 0 ? item.Name : null, Body = Bytes(item.Raw), IsIdempotent = false }, cancellationToken);
    }

    /// <summary>Puts an object in the place of the one of its name. Where it has a resourceVersion, only if nobody changed that meanwhile.</summary>
    public Task<KubernetesObject> ReplaceAsync(
        KubernetesResource resource, KubernetesObject item, bool dryRun, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(item);
        ApiRequest request = Request(HttpMethod.Put, "update", resource, item.Namespace, item.Name, null, DryRun(dryRun));
        // Done twice, the second one would meet the first one's new version and be told of a conflict that is none.
        return SendAsync(request with { Body = Bytes(item.Raw), IsIdempotent = item.ResourceVersion is null }, cancellationToken);
    }

    /// <summary>Changes a part of an object.</summary>
    /// <param name="subresource">The part that has an address of its own, such as <c>status</c>; null = the object.</param>
    public Task<KubernetesObject> PatchAsync(
        KubernetesResource resource,
        string? @namespace,
        string name,
        PatchKind kind,
        JsonNode patch,
        CancellationToken cancellationToken,
        string? subresource = null,
        bool dryRun = false)
    {
        ArgumentNullException.ThrowIfNull(patch);
        ApiRequest request = Request(HttpMethod.Patch, "patch", resource, @namespace, name, subresource, DryRun(dryRun), Manager(null));
        return SendAsync(
            request with
            {
                Body = Bytes(patch),
                ContentType = kind switch
                {
                    PatchKind.Merge => "application/merge-patch+json",
                    PatchKind.Strategic => "application/strategic-merge-patch+json",
                    _ => "application/json-patch+json",
                },
                // A list of operations may add the same element twice.
                IsIdempotent = kind != PatchKind.Json,
            },
            cancellationToken);
    }

    /// <summary>
    /// Has the server bring an object to what is given, whether it is there or not. A server that cannot (before 1.16, or where it is switched
    /// off) is asked to create the object or to merge it.
    /// </summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ResourceConflict"/>: fields belong to others, which the message names.</exception>
    public async Task<ApplyResult> ApplyAsync(
        KubernetesResource resource, KubernetesObject item, ApplyOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(item);
        options ??= new ApplyOptions();
        ApiRequest request = Request(
            HttpMethod.Patch, "patch", resource, item.Namespace, item.Name, null,
            DryRun(options.DryRun), Manager(options.FieldManager), options.Force ? ("force", "true") : null);
        try
        {
            // JSON is YAML, and the only form of an apply that servers before 1.31 take.
            request = request with { Body = Bytes(item.Raw), ContentType = "application/apply-patch+yaml" };
            return new ApplyResult(await SendAsync(request, cancellationToken).ConfigureAwait(false), ByServer: true);
        }
        catch (SmcException e) when (KubernetesStatusException.Of(e)?.Code == 415)
        {
            return new ApplyResult(await MergeAsync(resource, item, options, cancellationToken).ConfigureAwait(false), ByServer: false);
        }
    }

    /// <summary>Deletes an object; false where there is none. The object may be there for a while: see <see cref="WaitUntilGoneAsync"/>.</summary>
    public async Task<bool> DeleteAsync(
        KubernetesResource resource, string? @namespace, string name, DeleteOptions? options, CancellationToken cancellationToken)
    {
        options ??= new DeleteOptions();
        JsonObject body = new()
        {
            ["apiVersion"] = "v1",
            ["kind"] = "DeleteOptions",
            ["propagationPolicy"] = options.Propagation.ToString(),
        };
        if (options.Uid is not null)
        {
            body["preconditions"] = new JsonObject { ["uid"] = options.Uid };
        }

        if (options.GracePeriod is TimeSpan grace)
        {
            body["gracePeriodSeconds"] = (long)Math.Ceiling(grace.TotalSeconds);
        }

        if (options.DryRun)
        {
            body["dryRun"] = new JsonArray("All");
        }

        try
        {
            await _transport.SendAsync(
                Request(HttpMethod.Delete, "delete", resource, @namespace, name) with { Body = Bytes(body) }, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SmcException e) when (IsObjectMissing(e))
        {
            return false;
        }
    }

    /// <summary>Waits until an object is gone, or another one has its name.</summary>
    /// <param name="uid">Which object is meant; null = the one that is there now.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.OperationTimedOut"/>: it did not go; the message names what holds it.</exception>
    public async Task WaitUntilGoneAsync(
        KubernetesResource resource, string? @namespace, string name, string? uid, TimeSpan timeout, CancellationToken cancellationToken)
    {
        KubernetesObject? last = await TryGetAsync(resource, @namespace, name, cancellationToken).ConfigureAwait(false);
        if (last is null || (uid is not null && last.Uid != uid))
        {
            return;
        }

        uid = last.Uid;
        bool isGone = await WaitAsync(
            resource,
            @namespace,
            name,
            current =>
            {
                last = current?.Uid == uid ? current : last;
                return current is null || current.Uid != uid;
            },
            timeout,
            cancellationToken).ConfigureAwait(false);
        if (!isGone)
        {
            throw NotGone(resource, @namespace, name, last, timeout);
        }
    }

    /// <summary>Waits until an object is as wanted; false where it is not in time.</summary>
    /// <param name="until">Is asked with each state of the object, and with null when there is none.</param>
    public async Task<bool> WaitAsync(
        KubernetesResource resource,
        string? @namespace,
        string name,
        Func<KubernetesObject?, bool> until,
        TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(until);
        using CancellationTokenSource timer = new(timeout, _time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        try
        {
            bool isThere = false;
            await foreach (WatchEvent each in WatchAsync(
                resource, @namespace, new ListOptions { FieldSelector = "metadata.name=" + name }, either.Token).ConfigureAwait(false))
            {
                switch (each.Kind)
                {
                    case WatchEventKind.Restarted:
                        isThere = false;
                        continue;
                    case WatchEventKind.Synced when isThere:
                        continue;
                    default:
                        isThere = each.Kind is WatchEventKind.Added or WatchEventKind.Modified;
                        if (until(isThere ? each.Item : null))
                        {
                            return true;
                        }

                        continue;
                }
            }
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // In time or not: the caller asked.
        }

        return false;
    }

    /// <summary>How many replicas a workload is to have.</summary>
    public async Task<int> GetScaleAsync(KubernetesResource resource, string? @namespace, string name, CancellationToken cancellationToken)
    {
        KubernetesObject scale = await SendAsync(
            Request(HttpMethod.Get, "get", resource, @namespace, name, "scale"), cancellationToken).ConfigureAwait(false);
        // Zero is left out by Go's encoding.
        return (int?)scale.Raw["spec"]?["replicas"] ?? 0;
    }

    /// <summary>Says how many replicas a workload is to have.</summary>
    public Task SetScaleAsync(KubernetesResource resource, string? @namespace, string name, int replicas, CancellationToken cancellationToken) =>
        PatchAsync(
            resource, @namespace, name, PatchKind.Merge,
            new JsonObject { ["spec"] = new JsonObject { ["replicas"] = replicas } }, cancellationToken, "scale");

    /// <summary>Has a workload replace its pods one after the other, as <c>kubectl rollout restart</c> does.</summary>
    /// <exception cref="SmcException">The rollout is paused, so that nothing would happen.</exception>
    public async Task RestartAsync(KubernetesResource resource, string? @namespace, string name, CancellationToken cancellationToken)
    {
        KubernetesObject workload = await GetAsync(resource, @namespace, name, cancellationToken).ConfigureAwait(false);
        if (workload.Raw["spec"]?["template"] is not JsonObject)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"'{workload}' has no pods of its own that could be restarted.", target: workload.ToString());
        }

        if ((bool?)workload.Raw["spec"]?["paused"] == true)
        {
            throw new SmcException(
                SmcErrorCode.ResourceInvalid,
                $"The rollout of '{workload}' is paused, and nothing would be restarted.",
                recommendation: "Resume it with kubectl rollout resume, then run the command again.",
                target: workload.ToString());
        }

        JsonObject patch = new()
        {
            ["spec"] = new JsonObject
            {
                ["template"] = new JsonObject
                {
                    ["metadata"] = new JsonObject
                    {
                        ["annotations"] = new JsonObject
                        {
                            ["kubectl.kubernetes.io/restartedAt"] = _time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
                        },
                    },
                },
            },
        };
        await PatchAsync(resource, @namespace, name, PatchKind.Merge, patch, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens a container's log.</summary>
    public async Task<Stream> OpenLogAsync(string? @namespace, string pod, LogOptions? options, CancellationToken cancellationToken)
    {
        options ??= new LogOptions();
        ApiRequest request = Request(
            HttpMethod.Get, "get", KubernetesResource.Pods, @namespace ?? Access.Namespace, pod, "log",
            options.Container is null ? null : ("container", options.Container),
            options.Follow ? ("follow", "true") : null,
            options.Previous ? ("previous", "true") : null,
            options.Timestamps ? ("timestamps", "true") : null,
            options.TailLines is int lines ? ("tailLines", lines.ToString(CultureInfo.InvariantCulture)) : null,
            options.Since is DateTimeOffset since ? ("sinceTime", since.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)) : null);
        HttpResponseMessage response = await _transport.OpenAsync(request with { Accept = "*/*" }, cancellationToken).ConfigureAwait(false);
        try
        {
            return new ResponseStream(response, await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _transport.Dispose();
        _catalogGate.Dispose();
    }

    private static (string, string)? DryRun(bool dryRun) => dryRun ? ("dryRun", "All") : null;

    /// <summary>Whether it is this object that is missing, and not its namespace or its kind.</summary>
    private static bool IsObjectMissing(SmcException exception) =>
        exception.Code == SmcErrorCode.ResourceNotFound
        && KubernetesStatusException.Of(exception) is { Reason: "NotFound", Name: not null } status
        && (status.Kind != "namespaces" || exception.Target?.StartsWith("namespaces/", StringComparison.Ordinal) == true);

    private static ReadOnlyMemory<byte> Bytes(JsonNode node) => JsonSerializer.SerializeToUtf8Bytes(node);

    private static JsonObject ParseObject(byte[] body, string what)
    {
        try
        {
            return JsonNode.Parse(body) as JsonObject ?? throw new JsonException("It is no object.");
        }
        catch (JsonException e)
        {
            throw new SmcException(SmcErrorCode.ClusterUnavailable, $"The API server's answer about {what} is no object in JSON.", e);
        }
    }

    private (string, string)? Manager(string? name) => ("fieldManager", name ?? Options.FieldManager);

    private ApiRequest Request(
        HttpMethod method,
        string verb,
        KubernetesResource resource,
        string? @namespace,
        string? name = null,
        string? subresource = null,
        params ReadOnlySpan<(string Key, string Value)?> query)
    {
        ArgumentNullException.ThrowIfNull(resource);
        string? actual = resource.IsNamespaced ? @namespace : null;
        if (actual is null && resource.IsNamespaced && (name is not null || verb == "create"))
        {
            actual = Access.Namespace;
        }

        string path = resource.PathOf(actual, name, subresource);
        char separator = '?';
        foreach ((string Key, string Value)? pair in query)
        {
            if (pair is var (key, value))
            {
                path += $"{separator}{key}={Uri.EscapeDataString(value)}";
                separator = '&';
            }
        }

        return new ApiRequest(method, path)
        {
            Verb = verb,
            Resource = subresource is null ? resource.FullName : $"{resource.FullName}/{subresource}",
            Namespace = actual,
            Name = name,
        };
    }

    private async Task<KubernetesObject> SendAsync(ApiRequest request, CancellationToken cancellationToken) =>
        new(ParseObject(await _transport.SendAsync(request, cancellationToken).ConfigureAwait(false), request.Display));

    private async Task<KubernetesObject> MergeAsync(
        KubernetesResource resource, KubernetesObject item, ApplyOptions options, CancellationToken cancellationToken)
    {
        KubernetesObject wanted = new((JsonObject)item.Raw.DeepClone());
        // A version or an owner list of somewhere else would make a conflict of it.
        wanted.Metadata?.Remove("resourceVersion");
        wanted.Metadata?.Remove("managedFields");
        if (await TryGetAsync(resource, item.Namespace, item.Name, cancellationToken).ConfigureAwait(false) is null)
        {
            try
            {
                return await CreateAsync(resource, wanted, options.DryRun, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (KubernetesStatusException.Of(e)?.Reason == "AlreadyExists")
            {
                // Somebody was quicker.
            }
        }

        return await PatchAsync(
            resource, item.Namespace, item.Name, PatchKind.Merge, wanted.Raw, cancellationToken, dryRun: options.DryRun).ConfigureAwait(false);
    }

    private SmcException NotGone(KubernetesResource resource, string? @namespace, string name, KubernetesObject? last, TimeSpan timeout)
    {
        List<string> reasons = [];
        if (last?.DeletionTime is null)
        {
            reasons.Add("nobody has deleted it");
        }

        if (last?.Finalizers is { Count: > 0 } finalizers)
        {
            reasons.Add($"it waits for its finalizers {string.Join(", ", finalizers)}");
        }

        // A namespace says itself what is left in it.
        foreach (JsonNode? condition in last?.Raw["status"]?["conditions"] as JsonArray ?? [])
        {
            if (resource.Kind == "Namespace" && (string?)condition?["status"] == "True")
            {
                reasons.Add(KubeText.Clean((string?)condition["message"], 300));
            }
        }

        string why = reasons.Count == 0 ? "" : $": {string.Join("; ", reasons)}";
        return new SmcException(
            SmcErrorCode.OperationTimedOut,
            string.Create(CultureInfo.InvariantCulture, $"'{resource.FullName}/{name}'{(resource.IsNamespaced ? $" in the namespace '{@namespace}'" : "")} of the cluster '{Access.Display}' is not gone after {timeout.TotalSeconds:0.#} seconds{why}."),
            recommendation: last?.Finalizers.Count > 0
                ? "Bring up the controller that takes the finalizer away. Removing it by hand leaves behind what it stands for."
                : "Look at the object with kubectl describe, then run the command again.",
            target: last?.ToString() ?? name);
    }
}
