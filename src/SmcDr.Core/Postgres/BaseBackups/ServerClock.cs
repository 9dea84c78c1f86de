namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What time it is.</summary>
/// <param name="ServerTime">By the server's clock.</param>
/// <param name="LocalTime">By this machine's clock at the same moment.</param>
/// <param name="FileTime">By the server's file system: when the control file was written by the checkpoint that a backup begins with.</param>
internal sealed record ServerClock(DateTimeOffset ServerTime, DateTimeOffset LocalTime, DateTimeOffset FileTime)
{
    /// <summary>The earlier of the server's clock and its file system's, which may be another machine's.</summary>
    public DateTimeOffset Earliest => ServerTime < FileTime ? ServerTime : FileTime;
}
