namespace SmcDr.Core.Repositories;

/// <summary>A file or directory that a backup lacks.</summary>
/// <param name="Path">Its path, as in the manifest.</param>
/// <param name="Reason">What the system said.</param>
public sealed record UnreadableFile(string Path, string Reason);
