namespace SmcDr.Core.Postgres.Wal;

/// <summary>How a replication slot is.</summary>
/// <param name="Type"><c>physical</c> or <c>logical</c>.</param>
/// <param name="State"><c>wal_status</c>: <c>reserved</c>, <c>extended</c>, <c>unreserved</c> or <c>lost</c>.</param>
/// <param name="SafeBytes">How much may be written before it can be lost; null where the server never lets go.</param>
/// <param name="RetainedBytes">How much WAL the server keeps for it.</param>
/// <param name="KeepBytes"><c>max_slot_wal_keep_size</c>; null where there is no limit.</param>
internal sealed record SlotFacts(string Type, string? State, long? SafeBytes, long? RetainedBytes, long? KeepBytes);
