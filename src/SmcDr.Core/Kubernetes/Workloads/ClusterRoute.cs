using System.Globalization;
using System.Text.Json.Nodes;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>
/// The way into a namespace's pods by port forwarding. Addresses are those of inside the cluster: of a Service, of a pod, or any other name, which then
/// stands for the workload. The pod is looked for anew with each connection, so that one that was replaced is found again.
/// </summary>
internal sealed class ClusterRoute : IServerRoute
{
    private static readonly KubernetesResource s_services =
        new() { Version = "v1", Plural = "services", Kind = "Service", IsNamespaced = true };

    private readonly string _namespace;
    private readonly WorkloadName? _workload;
    private readonly Func<CancellationToken, Task<KubernetesClient>> _connect;
    private readonly bool? _isForwarded;
    private readonly Lock _lock = new();
    private Task<KubernetesClient>? _client;

    /// <param name="namespace">The namespace.</param>
    /// <param name="workload">The workload that is meant where an address is of no Service and no pod.</param>
    /// <param name="isForwarded">Whether connections are forwarded; null = unless this runs in a pod of the cluster, from where addresses can be reached.</param>
    /// <param name="connect">Gives a client. It is kept, and not disposed: connections that were made through it outlive this object.</param>
    public ClusterRoute(string @namespace, WorkloadName? workload, bool? isForwarded, Func<CancellationToken, Task<KubernetesClient>> connect)
    {
        (_namespace, _workload, _isForwarded, _connect) = (@namespace, workload, isForwarded, connect);
        Display = workload is null ? $"the namespace '{@namespace}'" : $"'{workload}' in the namespace '{@namespace}'";
    }

    public string Display { get; }

    public async Task<Stream?> ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        KubernetesClient client = await ClientAsync(cancellationToken).ConfigureAwait(false);
        if (!IsForwarded(client))
        {
            return null;
        }

        (PodTarget pod, int containerPort) = await FindAsync(client, host, port, cancellationToken).ConfigureAwait(false);
        return await client.ConnectAsync(pod, containerPort, cancellationToken).ConfigureAwait(false);
    }

    public async Task<IRoutedPort?> ListenAsync(string host, int port, CancellationToken cancellationToken)
    {
        KubernetesClient client = await ClientAsync(cancellationToken).ConfigureAwait(false);
        if (!IsForwarded(client))
        {
            return null;
        }

        (PodTarget pod, int containerPort) = await FindAsync(client, host, port, cancellationToken).ConfigureAwait(false);
        return client.Forward(pod, containerPort);
    }

    /// <summary>The pod and the port in it that an address of the cluster leads to.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.PodNotStarted"/>: no pod is ready; <see cref="SmcErrorCode.ResourceNotFound"/>; <see cref="SmcErrorCode.SettingUnsuitable"/>: it
    /// is in another namespace.
    /// </exception>
    internal async Task<(PodTarget Pod, int Port)> FindAsync(KubernetesClient client, string host, int port, CancellationToken cancellationToken)
    {
        // orders-db, orders-db.shop, orders-db.shop.svc.cluster.local; a pod of a StatefulSet is db-0.orders-db and so on.
        string[] labels = host.Split('.');
        string name = labels[0];
        // The namespace stands before "svc", behind the name of the Service.
        if (Array.IndexOf(labels, "svc") is (2 or 3) and var svc && labels[svc - 1] != _namespace)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"'{KubeText.Clean(host, 253)}' is in the namespace '{KubeText.Clean(labels[svc - 1], 63)}', and connections are forwarded into the namespace '{_namespace}' alone.",
                recommendation: "Correct the address of the server in the site file, or its namespace: what has that name in the other one is another server.",
                target: host);
        }

        bool isAddress = System.Net.IPAddress.TryParse(host.Trim('[', ']'), out _);
        if (isAddress)
        {
            List<KubernetesObject> pods = await ListAsync(client, null, cancellationToken).ConfigureAwait(false);
            if (pods.Find(pod => (string?)pod.Raw["status"]?["podIP"] == host.Trim('[', ']')) is { } found)
            {
                return (Target(found), port);
            }
        }
        else if (name.Length > 0 && !host.AsSpan().ContainsAny(',', '/', ' ') &&
            await TryServiceAsync(client, name, cancellationToken).ConfigureAwait(false) is { } service)
        {
            return await FindBehindAsync(client, service, port, cancellationToken).ConfigureAwait(false);
        }

        if (!isAddress && await TryPodAsync(client, name, cancellationToken).ConfigureAwait(false) is { } named)
        {
            return (Target(Ready([named], $"the pod '{name}'")), port);
        }

        if (_workload is null)
        {
            throw new SmcException(
                SmcErrorCode.ResourceNotFound,
                $"The namespace '{_namespace}' of the cluster '{client.Access.Display}' has no Service and no pod '{KubeText.Clean(host, 253)}'.",
                recommendation: "Name the Service of the server in the connection string, as pods of the namespace would.",
                target: host);
        }

        KubernetesObject item = await client.GetAsync(
            await ClusterWorkloads.ResourceOfAsync(client, _workload.Kind, cancellationToken).ConfigureAwait(false),
            _namespace, _workload.Name, cancellationToken).ConfigureAwait(false);
        List<KubernetesObject> candidates = await new ClusterWorkloads(client, _namespace)
            .ListPodsAsync(_workload, item, cancellationToken).ConfigureAwait(false);
        return (Target(Ready(candidates, $"'{_workload}'")), port);
    }

    private static PodTarget Target(KubernetesObject pod) => new(pod.Namespace, pod.Name);

    private static bool IsReady(KubernetesObject pod) => pod.DeletionTime is null && PodTrouble.IsReady(pod);

    private Task<KubernetesClient> ClientAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_client is null or { IsFaulted: true } or { IsCanceled: true })
            {
                _client = _connect(CancellationToken.None);
            }

            return _client.WaitAsync(cancellationToken);
        }
    }

    private bool IsForwarded(KubernetesClient client) => _isForwarded ?? !client.Access.IsOwnCluster;

    /// <summary>The first that is ready, by name: of a StatefulSet the one with the lowest number.</summary>
    private KubernetesObject Ready(List<KubernetesObject> pods, string of)
    {
        pods.Sort(static (a, b) => a.Name.Length != b.Name.Length ? a.Name.Length.CompareTo(b.Name.Length) : string.CompareOrdinal(a.Name, b.Name));
        return pods.Find(IsReady) ?? throw new SmcException(
            SmcErrorCode.PodNotStarted,
            $"No pod of {of} in the namespace '{_namespace}' is ready" +
                (pods.Count == 0 ? ": there is none." : $": {string.Join("; ", pods.Take(3).Select(static pod => $"{pod.Name}: {PodTrouble.Describe(pod)}"))}."),
            target: of);
    }

    private async Task<(PodTarget Pod, int Port)> FindBehindAsync(
        KubernetesClient client, KubernetesObject service, int port, CancellationToken cancellationToken)
    {
        List<string> terms = [.. (service.Raw["spec"]?["selector"] as JsonObject ?? []).Select(static pair => $"{pair.Key}={(string?)pair.Value}")];
        if (terms.Count == 0)
        {
            throw new SmcException(
                SmcErrorCode.WorkloadUnsuitable,
                $"The Service '{service.Name}' in the namespace '{_namespace}' selects no pods, so no connection can be forwarded to it.",
                recommendation: "Name a Service that selects the server's pods, or connect to the server's address (kubernetes: { portForward: false }).",
                target: service.Name);
        }

        KubernetesObject pod = Ready(
            await ListAsync(client, string.Join(',', terms), cancellationToken).ConfigureAwait(false), $"the Service '{service.Name}'");
        JsonNode? entry = (service.Raw["spec"]?["ports"] as JsonArray ?? []).FirstOrDefault(each => (int?)each?["port"] == port);
        JsonValue? target = entry?["targetPort"] as JsonValue;
        if (target?.TryGetValue(out int number) == true)
        {
            return (Target(pod), number);
        }

        if (target?.TryGetValue(out string? portName) == true)
        {
            int? container = (pod.Raw["spec"]?["containers"] as JsonArray ?? [])
                .SelectMany(static each => each?["ports"] as JsonArray ?? [])
                .Where(each => (string?)each?["name"] == portName)
                .Select(static each => (int?)each?["containerPort"])
                .FirstOrDefault();
            return (Target(pod), container ?? throw new SmcException(
                SmcErrorCode.ResourceInvalid,
                string.Create(CultureInfo.InvariantCulture, $"The Service '{service.Name}' leads its port {port} to a port '{portName}', which the pod '{pod.Name}' does not have."),
                target: service.Name));
        }

        return (Target(pod), port);
    }

    private async Task<List<KubernetesObject>> ListAsync(KubernetesClient client, string? selector, CancellationToken cancellationToken)
    {
        List<KubernetesObject> pods = [];
        await foreach (KubernetesObject pod in client.ListAsync(
            KubernetesResource.Pods, _namespace, new ListOptions { LabelSelector = selector }, cancellationToken).ConfigureAwait(false))
        {
            pods.Add(pod);
        }

        return pods;
    }

    private async Task<KubernetesObject?> TryServiceAsync(KubernetesClient client, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await client.TryGetAsync(s_services, _namespace, name, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (_workload is not null && e.Code is SmcErrorCode.ClusterForbidden or SmcErrorCode.ResourceInvalid)
        {
            // Who may not look at Services still knows the workload.
            return null;
        }
    }

    private Task<KubernetesObject?> TryPodAsync(KubernetesClient client, string name, CancellationToken cancellationToken) =>
        name.Length == 0 || name.AsSpan().ContainsAny(',', '/', ' ')
            ? Task.FromResult<KubernetesObject?>(null)
            : client.TryGetAsync(KubernetesResource.Pods, _namespace, name, cancellationToken);
}
