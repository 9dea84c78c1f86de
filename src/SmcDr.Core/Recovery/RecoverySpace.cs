namespace SmcDr.Core.Recovery;

/// <summary>What a recovery needs on one file system.</summary>
/// <param name="Path">A path on it.</param>
/// <param name="RequiredBytes">What is still to be written.</param>
/// <param name="AvailableBytes">What is free.</param>
public sealed record RecoverySpace(string Path, long RequiredBytes, long AvailableBytes);
