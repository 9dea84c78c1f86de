namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>
/// Slices of endpoints are made by controllers, which say so on them; somebody's own are kept. (Endpoints themselves do not tell: there the service
/// decides, see <see cref="ConfigurationCollector"/>.)
/// </summary>
internal sealed class EndpointSliceCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group == "discovery.k8s.io" && kind == "EndpointSlice";

    public string? Clean(KubernetesObject item) =>
        item.Labels.GetValueOrDefault("endpointslice.kubernetes.io/managed-by") is
            "endpointslice-controller.k8s.io" or "endpointslicemirroring-controller.k8s.io"
                ? "made from a service"
                : null;
}
