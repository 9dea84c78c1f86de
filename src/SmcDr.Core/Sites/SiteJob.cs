using SmcDr.Core.Kubernetes.Jobs;

namespace SmcDr.Core.Sites;

/// <summary>A command on a site that is to run in the site's cluster.</summary>
/// <param name="Site">The site, as it is on this host.</param>
/// <param name="IsDeployment">Whether the cluster keeps it alive, and nobody waits for its end.</param>
/// <param name="Spec">What runs there.</param>
public sealed record SiteJob(Site Site, bool IsDeployment, JobSpec Spec)
{
    /// <summary>What runs where, for a question: the end of a sentence.</summary>
    public string Display => $"'{Spec.Title}' by the image '{Spec.Image}' in the namespace '{Spec.Namespace}'";
}
