namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>The tests that share a namespace of a cluster, and its pods.</summary>
[CollectionDefinition(Name)]
public sealed class ClusterGroup : ICollectionFixture<ClusterFixture>
{
    public const string Name = "Kubernetes cluster";
}
