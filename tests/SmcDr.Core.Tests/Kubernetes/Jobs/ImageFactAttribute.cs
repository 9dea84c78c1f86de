namespace SmcDr.Core.Tests.Kubernetes.Jobs;

/// <summary>
/// A test that runs smcdr in pods: it needs a cluster, the image that './build.ps1 -Task Image' makes, and <c>SMCDR_TEST_IMAGE_LOADER</c>, a command that
/// brings such an archive to the cluster's node, such as <c>ctr -n k8s.io images import</c>; skipped without.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ImageFactAttribute : FactAttribute
{
    public ImageFactAttribute() => Skip = new ClusterFactAttribute().Skip
        ?? (JobLab.Loader is null ? $"The image of smcdr is not run: {JobLab.Variable} names no command that loads it."
            : JobLab.Archive is null ? "The image of smcdr is not run: it was not made ('./build.ps1 -Task Image')."
            : null);
}
