using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>A helper pod on the volume of a database, and what it has found there.</summary>
internal sealed record PodPlace
{
    /// <summary>Runs scripts in the pod.</summary>
    public required PodShell Shell { get; init; }

    /// <summary>The data directory as the pod sees it.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>
    /// Whether the data directory is the volume's own root, which cannot be renamed: then what is in it is moved, and the recovery works in it.
    /// </summary>
    public required bool IsVolumeRoot { get; init; }

    /// <summary>Whether there is anything in the data directory.</summary>
    public required bool HasData { get; init; }

    /// <summary>User and group of the server by number, such as <c>999:999</c>, where the container runs as root; else null.</summary>
    public required string? Owner { get; init; }

    /// <summary>What a command is called with to run as the server's account; empty where the container runs as it.</summary>
    public required string RunAs { get; init; }

    /// <summary>The directory of PostgreSQL's programs.</summary>
    public required string BinDirectory { get; init; }

    /// <summary>Their major version.</summary>
    public required int Major { get; init; }

    /// <summary>The memory that the container may take, in bytes; null = what its node has.</summary>
    public required long? MemoryLimit { get; init; }

    /// <summary>What is free on the volume, in bytes.</summary>
    public required long AvailableBytes { get; init; }

    /// <summary>What an interrupted recovery has put there, in bytes.</summary>
    public required long StateBytes { get; init; }

    /// <summary>Tablespaces of the present cluster that lie outside of its data directory.</summary>
    public required IReadOnlyList<string> Tablespaces { get; init; }

    /// <summary>What the journal of an earlier recovery says; null where there is none.</summary>
    public required RecoveryProgress? Journal { get; init; }

    /// <summary>The folder beside the data directory that is worked in.</summary>
    public string StateDirectory => StateOf(DataDirectory, IsVolumeRoot);

    public static string StateOf(string dataDirectory, bool isVolumeRoot) =>
        isVolumeRoot ? dataDirectory + "/smcdr.state" : RecoveryState.PathFor(dataDirectory);
}
