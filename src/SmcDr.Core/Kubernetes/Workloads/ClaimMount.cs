namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>A volume claim as a container sees it.</summary>
/// <param name="Volume">The name of the pod's volume.</param>
/// <param name="Claim">The claim.</param>
/// <param name="MountPath">Where the container has it.</param>
/// <param name="SubPath">The directory of the volume that is mounted; null = all of it.</param>
internal sealed record ClaimMount(string Volume, string Claim, string MountPath, string? SubPath);
