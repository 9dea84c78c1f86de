namespace SmcDr.Core.Tests.Recovery;

/// <summary>What was true right after a transaction.</summary>
/// <param name="LastId">The last row.</param>
/// <param name="Xid">The transaction.</param>
/// <param name="Lsn">The position behind its commit.</param>
/// <param name="Time">A time behind its commit and before the next one.</param>
/// <param name="Name">The restore point that was made after it.</param>
public sealed record WorldStep(int LastId, uint Xid, Lsn Lsn, DateTimeOffset Time, string Name);
