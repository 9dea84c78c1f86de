namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>What a spill directory holds.</summary>
/// <param name="Count">How many objects.</param>
/// <param name="Bytes">What they take.</param>
/// <param name="Since">Since when the oldest of them is there; null where there is none.</param>
/// <param name="Identity">Whose they are; null where that is not said, or cannot be read.</param>
internal sealed record SpillContent(int Count, long Bytes, DateTimeOffset? Since, SpillIdentity? Identity);
