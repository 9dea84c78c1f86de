namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>A test that needs kubectl; skipped without it.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KubectlFactAttribute : FactAttribute
{
    public KubectlFactAttribute()
    {
        Skip = Kubectl.IsThere ? null : "There is no kubectl to test with.";
    }
}
