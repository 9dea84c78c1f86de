using SmcDr.Core.Kubernetes.Configuration.Cleaning;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>The workloads whose replicas an autoscaler decides over: how many there are is then no part of the configuration.</summary>
internal sealed class ScaledWorkloads
{
    private readonly HashSet<(string Namespace, string Kind, string Name)> _workloads = [];

    /// <summary>Asks a cluster for them. Where it may not be asked, there are none.</summary>
    public static async Task<ScaledWorkloads> LoadAsync(
        KubernetesClient client, IEnumerable<string> namespaces, CancellationToken cancellationToken)
    {
        ScaledWorkloads result = new();
        ResourceCatalog catalog = await client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false);
        if (catalog.Find("horizontalpodautoscalers.autoscaling") is not KubernetesResource resource)
        {
            return result;
        }

        foreach (string name in namespaces)
        {
            try
            {
                await foreach (KubernetesObject item in client.ListAsync(resource, name, null, cancellationToken).ConfigureAwait(false))
                {
                    result._workloads.Add((
                        name, item.Raw.TextAt("spec", "scaleTargetRef", "kind") ?? "", item.Raw.TextAt("spec", "scaleTargetRef", "name") ?? ""));
                }
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ClusterForbidden)
            {
                // Then replicas are compared like any other field.
            }
        }

        return result;
    }

    public bool Contains(KubernetesObject item) => _workloads.Contains((item.Namespace ?? "", item.Kind, item.Name));
}
