namespace SmcDr.Core.Drills;

/// <summary>
/// Measures from outside what a stream promises: how old the oldest WAL is that the server has on disk and the repository does not.
/// That much would be lost if everything but the repository were gone at this moment.
/// </summary>
internal sealed class ExposureMeter
{
    private readonly Queue<(DateTimeOffset Time, Lsn Server)> _ahead = [];

    /// <summary>Takes a reading and returns the exposure.</summary>
    /// <param name="time">When the server's position was read.</param>
    /// <param name="server">The end of the server's durable WAL at that time.</param>
    /// <param name="repository">The end of the WAL in the repository, read before the server's.</param>
    public TimeSpan Read(DateTimeOffset time, Lsn server, Lsn repository)
    {
        if (server > repository)
        {
            _ahead.Enqueue((time, server));
        }

        while (_ahead.TryPeek(out (DateTimeOffset Time, Lsn Server) oldest) && oldest.Server <= repository)
        {
            _ahead.Dequeue();
        }

        return _ahead.TryPeek(out (DateTimeOffset Time, Lsn Server) first) ? time - first.Time : TimeSpan.Zero;
    }
}
