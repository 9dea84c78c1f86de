namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>A row and its commit, which lies behind one position and before another.</summary>
/// <param name="Id">The row.</param>
/// <param name="Timeline">The timeline on which it was committed.</param>
/// <param name="Xid">Its transaction.</param>
/// <param name="Before">A position before its transaction began.</param>
/// <param name="After">A position behind its commit; the greatest of all where nobody knows whether it was committed.</param>
/// <param name="Time">The commit's time.</param>
internal sealed record CommittedRow(long Id, uint Timeline, uint Xid, Lsn Before, Lsn After, DateTimeOffset? Time);
