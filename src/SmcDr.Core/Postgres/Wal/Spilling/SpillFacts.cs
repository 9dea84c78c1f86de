namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>How a spill stands.</summary>
/// <param name="Directory">Where it is.</param>
/// <param name="Bytes">What it holds.</param>
/// <param name="Since">Since when WAL waits in it; null where none does.</param>
/// <param name="IsFull">Whether nothing more fits.</param>
/// <param name="Reason">Why WAL does not go to the repository; null where it does.</param>
internal sealed record SpillFacts(string Directory, long Bytes, DateTimeOffset? Since, bool IsFull, string? Reason);
