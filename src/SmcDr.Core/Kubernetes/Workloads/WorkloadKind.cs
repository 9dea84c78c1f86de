namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>The kinds of workload that can be stopped and started.</summary>
public enum WorkloadKind
{
    /// <summary>Stopped by scaling to none.</summary>
    Deployment,

    /// <summary>Stopped by scaling to none.</summary>
    StatefulSet,

    /// <summary>Stopped by scaling to none; one that a Deployment owns is stopped by that.</summary>
    ReplicaSet,

    /// <summary>Has no replicas: it is stopped by a node selector that no node fits.</summary>
    DaemonSet,

    /// <summary>Is suspended; the jobs that run already are waited for.</summary>
    CronJob,
}
