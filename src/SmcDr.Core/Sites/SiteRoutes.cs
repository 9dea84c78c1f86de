using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Sites;

/// <summary>The ways into a region's cluster: to its servers, and to its secrets.</summary>
internal static class SiteRoutes
{
    /// <summary>The way to a server of a region that runs in a workload; null where it runs in none.</summary>
    public static IServerRoute? CreateRoute(this RegionSettings region, string? workload) => workload is null || region.Kubernetes is not { } settings
        ? null
        : new ClusterRoute(
            settings.Namespace,
            WorkloadName.Parse(workload),
            settings.PortForward,
            token => settings.ConnectAsync(NullObserver.Instance, token));

    /// <summary>The same secrets, and those of the region's cluster.</summary>
    public static SecretResolver Of(this SecretResolver secrets, RegionSettings region) => region.Kubernetes is not { } settings
        ? secrets
        : secrets.WithKubernetes(async (reference, token) =>
        {
            string[] parts = reference.Name.Split('/', 3);
            using KubernetesClient client = await settings.ConnectAsync(NullObserver.Instance, token).ConfigureAwait(false);
            return await client.TryGetAsync(KubernetesResource.Secrets, parts[0], parts[1], token).ConfigureAwait(false) is { } secret &&
                (string?)secret.Raw["data"]?[parts[2]] is { } value
                    ? Encoding.UTF8.GetString(Convert.FromBase64String(value))
                    : null;
        });
}
