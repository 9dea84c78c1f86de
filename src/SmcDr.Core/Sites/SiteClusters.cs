using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says of Kubernetes to a client, so that every front end means the same by it.</summary>
public static class SiteClusters
{
    /// <summary>The cluster of a region, or of the primary one where null.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the region has none.</exception>
    public static KubernetesSettings GetKubernetes(this Site site, string? region = null)
    {
        ArgumentNullException.ThrowIfNull(site);
        RegionSettings settings = site.GetRegion(region);
        return settings.Kubernetes ?? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            $"The region '{settings.Name}' of the site '{site.Name}' has no Kubernetes cluster.",
            recommendation: $"Add 'kubernetes' to the region in '{site.Path}', such as: kubernetes: {{ context: east, namespace: orders }}.",
            target: settings.Name);
    }

    /// <summary>A client of the cluster that these settings name. Nothing is sent yet.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="observer">Hears of it.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <param name="options">How patient it is; null = as by default.</param>
    public static Task<KubernetesClient> ConnectAsync(
        this KubernetesSettings settings,
        IOperationObserver observer,
        CancellationToken cancellationToken,
        KubernetesClientOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        return KubernetesClient.CreateAsync(
            new KubeconfigOptions { Path = settings.Kubeconfig, Context = settings.Context, Namespace = settings.Namespace },
            options,
            observer,
            cancellationToken);
    }
}
