namespace SmcDr.Core.Kubernetes;

/// <summary>A part of a file that is written in a pod.</summary>
/// <param name="Path">The file, below the tree's root.</param>
/// <param name="Offset">Where the part begins in it.</param>
/// <param name="Length">How long it is.</param>
internal sealed record PodTreePart(string Path, long Offset, int Length);
