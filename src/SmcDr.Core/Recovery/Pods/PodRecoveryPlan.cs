using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>What a recovery in a workload of Kubernetes will do. Making it changes nothing.</summary>
public sealed record PodRecoveryPlan
{
    /// <summary>What was asked for.</summary>
    public required PodRecoveryRequest Request { get; init; }

    /// <summary>The recovery itself. What is on the volume is in it where a pod runs that could be asked.</summary>
    public required RecoveryPlan Recovery { get; init; }

    /// <summary>Whether the volume could be looked at.</summary>
    public required bool IsSeen { get; init; }

    /// <summary>The claims of the volumes.</summary>
    public required IReadOnlyList<string> Claims { get; init; }

    /// <summary>The cluster, for messages.</summary>
    public required string Cluster { get; init; }

    internal DatabaseWorkload Workload { get; init; } = null!;

    /// <summary>Whether the same recovery was finished by an earlier run, so that there is nothing to do.</summary>
    public bool IsDone => Recovery.IsDone && !Workload.IsStopped;

    /// <summary>The plan in lines, for an operator to read before saying yes.</summary>
    public IEnumerable<string> Describe()
    {
        if (IsDone)
        {
            return Recovery.Describe();
        }

        return DescribeSteps();
    }

    private IEnumerable<string> DescribeSteps()
    {
        WorkloadName workload = Request.Workload;
        if (Recovery.Request.Writers is { } writers)
        {
            yield return $"Stop the writers: {string.Join(", ", writers.Names)}.";
        }

        yield return Workload.IsStopped
            ? $"'{workload}' in the namespace '{Request.Namespace}' of {Cluster} is stopped; make sure that its pods are gone."
            : $"Scale '{workload}' in the namespace '{Request.Namespace}' of {Cluster} to 0, and wait until its pod is gone.";
        yield return $"Start the helper pod '{HelperPod.NameOf(workload)}' with the image '{Workload.Image}' on the volume claim {string.Join(", ", Claims.Select(static claim => $"'{claim}'"))}.";
        if (!IsSeen)
        {
            yield return "Look whether the volume has room and what is on it: no pod runs that could be asked now.";
        }

        foreach (string line in Recovery.DescribeRecovery(IsSeen ? Recovery.DataDirectory : "the data directory"))
        {
            yield return line;
        }

        yield return "Remove the helper pod.";
        yield return Recovery.Request.KeepRunning
            ? $"Scale '{workload}' back to {Math.Max(1, Workload.Replicas)}, wait until it is ready, and ask the database."
            : $"Leave '{workload}' stopped.";
        if (Recovery.Request.Writers is not null)
        {
            yield return Recovery.Request.KeepRunning ? "Start the writers." : "Leave the writers stopped.";
        }

        foreach (string warning in Recovery.Warnings)
        {
            yield return $"Note: {warning}";
        }
    }
}
