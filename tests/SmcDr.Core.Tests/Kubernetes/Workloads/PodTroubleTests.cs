using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Tests.Kubernetes.Workloads;

public sealed class PodTroubleTests
{
    /// <summary>The status that a kubelet gives a pod which wrote more than its volume may hold.</summary>
    [Fact]
    public void Describe_EvictedPod_SaysSoAndNotHowItsContainerEnded() => Assert.Equal(
        "Failed: Evicted (Usage of EmptyDir volume 'tmp' exceeds the limit '1Mi')",
        PodTrouble.Describe(ClusterFixture.Parse("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{"phase":"Failed","reason":"Evicted",
            "message":"Usage of EmptyDir volume 'tmp' exceeds the limit '1Mi'.",
            "containerStatuses":[{"name":"main","state":{"terminated":{"exitCode":137,"reason":"Error"}}}]}}
            """)));

    [Fact]
    public void Describe_ContainerThatFailed_SaysHow() => Assert.Equal(
        "the container 'main' ended with exit code 3 (Error)",
        PodTrouble.Describe(ClusterFixture.Parse("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{"phase":"Failed",
            "containerStatuses":[{"name":"main","state":{"terminated":{"exitCode":3,"reason":"Error"}}}]}}
            """)));
}
