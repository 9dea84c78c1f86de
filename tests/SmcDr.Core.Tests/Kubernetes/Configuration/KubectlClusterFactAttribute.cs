namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>A test that needs kubectl and a cluster; skipped without them.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KubectlClusterFactAttribute : FactAttribute
{
    public KubectlClusterFactAttribute()
    {
        Skip = new ClusterFactAttribute().Skip ?? new KubectlFactAttribute().Skip;
    }
}
