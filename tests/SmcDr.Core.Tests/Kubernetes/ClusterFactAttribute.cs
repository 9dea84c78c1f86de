namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>A test that needs a cluster, which <c>SMCDR_TEST_KUBECONFIG</c> names; skipped without one.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ClusterFactAttribute : FactAttribute
{
    public const string Variable = "SMCDR_TEST_KUBECONFIG";

    public ClusterFactAttribute()
    {
        string? path = Environment.GetEnvironmentVariable(Variable);
        Skip = string.IsNullOrEmpty(path)
            ? $"There is no Kubernetes cluster to test with: {Variable} does not name a kubeconfig."
            : File.Exists(path) ? null : $"There is no Kubernetes cluster to test with: {Variable} names {path}, which is not there.";
    }
}
