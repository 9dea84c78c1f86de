using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Kubernetes.Workloads;

public sealed class HelperPodTests
{
    [Fact]
    public void IsLeftHere_ThisProcess_IsNot() => Assert.False(HelperPod.IsLeftHere(HelperPod.Holder()));

    /// <summary>The number is another process's by now, or nobody's.</summary>
    [LinuxFact]
    public void IsLeftHere_ProcessOfThisKernelThatHasEnded_Is()
    {
        string mine = HelperPod.Holder();
        using Process ended = Process.Start("true");
        ended.WaitForExit();

        Assert.True(HelperPod.IsLeftHere(mine.Replace(
            string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId} "),
            string.Create(CultureInfo.InvariantCulture, $"process {ended.Id} "),
            StringComparison.Ordinal)));
        Assert.True(HelperPod.IsLeftHere(mine[..mine.LastIndexOf(' ')] + " 1)"));
    }

    /// <summary>A container that shares the machine's name, or another machine of that name, has numbers of its own: of it nobody here can tell.</summary>
    [Fact]
    public void IsLeftHere_OtherKernelOrNamespaceOfTheSameName_IsNot()
    {
        Assert.False(HelperPod.IsLeftHere($"process 2000000000 on {Environment.MachineName} since 2026-01-01 00:00:00Z (kernel 0123456789ab, start 1)"));
        Assert.False(HelperPod.IsLeftHere($"process 2000000000 on {Environment.MachineName} since 2026-01-01 00:00:00Z"));
        Assert.False(HelperPod.IsLeftHere(null));
    }
}
