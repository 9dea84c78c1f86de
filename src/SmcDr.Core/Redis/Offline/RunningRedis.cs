using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis.Offline;

/// <summary>What a server that is to be restored offline says of itself while it still runs.</summary>
internal static class RunningRedis
{
    /// <summary>Asks; all is null where the server does not answer.</summary>
    /// <param name="connector">The server.</param>
    /// <param name="observer">Is told what is not known.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.SettingUnsuitable"/>: it is a Sentinel. <see cref="SmcErrorCode.TargetIsReplica"/>: it is a replica.
    /// </exception>
    public static async Task<(RedisInfo? Info, IReadOnlyDictionary<string, string>? Settings, string? Suspend)> AskAsync(
        RedisConnector connector, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisConnection connection;
        try
        {
            connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ServerUnavailable)
        {
            observer.Verbose($"{e.Message} It is taken for stopped.");
            return default;
        }

        await using (connection.ConfigureAwait(false))
        {
            // A server that is loading is not waited for: it may be what is to be put an end to.
            RedisInfo info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
            if (info.Mode == "sentinel")
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    $"What answers at {connector.Display} is a Sentinel, which has no data.",
                    recommendation: "Name a Redis server; SENTINEL GET-MASTER-ADDR-BY-NAME tells the master's address.",
                    target: connector.Display);
            }

            if (!info.IsMaster)
            {
                throw new SmcException(
                    SmcErrorCode.TargetIsReplica,
                    $"Redis at {connector.Display} is a replica of {info["master_host"]}:{info["master_port"]}: what it starts with it throws away for what its master has.",
                    target: connector.Display);
            }

            return (
                info,
                await ReadSettingsAsync(connection, observer, cancellationToken).ConfigureAwait(false),
                await SentinelWatch.FindAsync(
                    connection,
                    "While it is away they make a replica with the old data its successor, from which it then fetches that",
                    observer,
                    cancellationToken).ConfigureAwait(false));
        }
    }

    private static async Task<IReadOnlyDictionary<string, string>?> ReadSettingsAsync(
        RedisConnection connection, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (!connection.Knows("CONFIG"))
        {
            return null;
        }

        Dictionary<string, string> settings = new(StringComparer.OrdinalIgnoreCase);
        RedisReply[] replies = await connection.ExecuteManyAsync(
            [.. OfflineSettings.Names.Select(static name => new RedisCommand("CONFIG", "GET", name))], cancellationToken).ConfigureAwait(false);
        foreach (RedisReply reply in replies)
        {
            if (reply.IsError)
            {
                observer.Verbose($"What Redis at {connection.Display} runs with cannot be read ({RedisErrors.Clean(reply.Text)}): its configuration file is believed.");
                return null;
            }

            // A version that does not know a setting answers with nothing.
            if (reply.Items is [var name, var value])
            {
                settings[name.Text] = value.Text;
            }
        }

        return settings;
    }
}
