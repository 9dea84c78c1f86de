namespace SmcDr.Core.Recovery;

/// <summary>Something that is in the way and is moved aside. It is never deleted.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="Destination">Where it will be.</param>
public sealed record RecoveryMove(string Path, string Destination);
