namespace SmcDr.Core.Drills;

/// <summary>One row that a writer of the drill inserted, with all that is known of its commit.</summary>
/// <param name="Id">The id, chosen by the writer.</param>
/// <param name="Writer">The writer. Its rows are written one after the other: the next only when this one's outcome is known.</param>
/// <param name="SentTime">When the statement was sent: the commit cannot be older.</param>
/// <param name="AcknowledgedTime">When the server's answer was here; none where it never came and the outcome is unknown.</param>
/// <param name="CommitTime">The commit's own time by the server's clock, where it was learnt.</param>
public sealed record DrillCommit(
    long Id, int Writer, DateTimeOffset SentTime, DateTimeOffset? AcknowledgedTime, DateTimeOffset? CommitTime = null);
