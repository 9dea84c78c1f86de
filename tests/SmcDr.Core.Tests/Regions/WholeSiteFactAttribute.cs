using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;

namespace SmcDr.Core.Tests.Regions;

/// <summary>A test of a site with all that it may have: skipped without a cluster, and without moto.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class WholeSiteFactAttribute : FactAttribute
{
    public WholeSiteFactAttribute() => Skip = new ClusterFactAttribute().Skip ?? MotoInstallation.SkipReason;
}
