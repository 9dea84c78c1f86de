namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>A theory that needs a cluster; see <see cref="ClusterFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ClusterTheoryAttribute : TheoryAttribute
{
    public ClusterTheoryAttribute() => Skip = new ClusterFactAttribute().Skip;
}
