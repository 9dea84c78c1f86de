using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>The Redis that a restore in Kubernetes goes to, as it was found.</summary>
internal sealed record RedisPodTarget
{
    public required DatabaseWorkload Workload { get; init; }

    /// <summary>What the server said of itself; null where it did not answer.</summary>
    public RedisInfo? Info { get; init; }

    /// <summary>What it runs with; null where that is not known.</summary>
    public IReadOnlyDictionary<string, string>? Settings { get; init; }

    /// <summary>What is on its volume; null where no pod runs that could be asked.</summary>
    public RedisPodVolume? Volume { get; init; }

    /// <summary>What it loads when it starts; null where that cannot be told yet.</summary>
    public OfflineLayout? Layout { get; init; }

    public IReadOnlyList<string> Warnings { get; init; } = [];

    public string? SuspendFirst { get; init; }

    /// <summary>A restore that was interrupted.</summary>
    public OfflineJournal? Interrupted => Volume?.Journal;

    /// <summary>Whether a server runs that has its files from the restore that was interrupted.</summary>
    public bool IsRunningRestored => Interrupted is { Phase: >= OfflinePhase.Placed };
}
