using System.Diagnostics;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// The clock of a server, which alone decides whether a key has expired; this machine's may be wrong by hours.
/// </summary>
/// <param name="milliseconds">What the server said, in milliseconds since 1970.</param>
internal sealed class ServerClock(long milliseconds)
{
    private readonly long _start = Stopwatch.GetTimestamp();

    /// <summary>The server's time in milliseconds since 1970.</summary>
    public long Now => milliseconds + (long)Stopwatch.GetElapsedTime(_start).TotalMilliseconds;

    /// <summary>Asks a server for its time.</summary>
    public static async Task<ServerClock> ReadAsync(RedisConnection connection, CancellationToken cancellationToken) =>
        Parse(await connection.ExecuteAsync(new RedisCommand("TIME"), cancellationToken).ConfigureAwait(false));

    /// <summary>From the answer to <c>TIME</c>: seconds and microseconds.</summary>
    public static ServerClock Parse(RedisReply reply) => new((reply.Items[0].Integer * 1000) + (reply.Items[1].Integer / 1000));
}
