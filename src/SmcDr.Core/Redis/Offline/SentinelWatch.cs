using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis.Offline;

/// <summary>Whether Sentinel watches a server, and would make a replica with the old data its successor while it is away.</summary>
internal static class SentinelWatch
{
    private const string Channel = "__sentinel__:hello";

    /// <summary>What must be suspended first; null where nothing was found.</summary>
    public static async Task<string?> FindAsync(RedisConnection connection, IOperationObserver observer, CancellationToken cancellationToken)
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
                $"{count} Sentinel{(count == 1 ? " watches" : "s watch")} Redis at {connection.Display}. While it is away they make a replica with the old data its successor, from which it then fetches that: on each of them, run SENTINEL SET <name> down-after-milliseconds 3600000, and set it back afterwards.")
            : null;
    }
}
