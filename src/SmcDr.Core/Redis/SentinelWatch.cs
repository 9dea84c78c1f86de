using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis;

/// <summary>Whether Sentinel watches a server, and would make another one master in the middle of a restore.</summary>
internal static class SentinelWatch
{
    private const string Channel = "__sentinel__:hello";

    /// <summary>What must be suspended first; null where nothing was found.</summary>
    /// <param name="connection">The server.</param>
    /// <param name="danger">What a failover would do meanwhile, as a sentence without its full stop.</param>
    /// <param name="observer">Is told where it is not known.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<string?> FindAsync(
        RedisConnection connection, string danger, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisReply clients = await connection.TryExecuteAsync(new RedisCommand("CLIENT", "LIST"), cancellationToken).ConfigureAwait(false);
        int? count = null;
        if (!clients.IsError)
        {
            // sentinel-, eight letters of its id, and what the connection is for (sentinel.c, sentinelSetClientName).
            count = clients.Text.Split([' ', '\n']).Where(static field => field.StartsWith("name=sentinel-", StringComparison.Ordinal))
                .Select(static field => field[..Math.Min(field.Length, "name=sentinel-xxxxxxxx".Length)]).Distinct(StringComparer.Ordinal).Count();
        }
        else
        {
            RedisReply subscribers = await connection.TryExecuteAsync(
                new RedisCommand("PUBSUB", "NUMSUB", Channel), cancellationToken).ConfigureAwait(false);
            count = subscribers.Items is [_, var number] ? (int)number.Integer : null;
        }

        if (count is null)
        {
            observer.Verbose($"Whether Sentinel watches Redis at {connection.Display} is not known: the user may run neither CLIENT LIST nor PUBSUB NUMSUB.");
        }

        return count is > 0
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"{count} Sentinel{(count == 1 ? " watches" : "s watch")} Redis at {connection.Display}. {danger}: on each of them, run SENTINEL SET <name> down-after-milliseconds 3600000, and set it back afterwards.")
            : null;
    }
}
