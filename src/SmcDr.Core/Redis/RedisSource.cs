using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis;

/// <summary>The server that gives the data of a backup: the one that was named, or a replica of it.</summary>
internal sealed class RedisSource : IAsyncDisposable
{
    private static readonly TimeSpan s_loadingPoll = TimeSpan.FromMilliseconds(250);

    private RedisSource(RedisConnector connector, RedisConnection connection, RedisInfo info)
    {
        (Connector, Connection, Info) = (connector, connection, info);
    }

    public RedisConnector Connector { get; }

    /// <summary>A connection for questions.</summary>
    public RedisConnection Connection { get; }

    /// <summary>What the server said of itself when it was chosen.</summary>
    public RedisInfo Info { get; }

    /// <summary>How much of its master's changes a replica lacked.</summary>
    public long? LagBytes { get; private init; }

    public static async Task<RedisSource> OpenAsync(
        RedisConnector connector, RedisBackupOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisSource named = await OpenNamedAsync(
            connector, options.LoadingTimeout, RedisBackup.Activity, observer, cancellationToken).ConfigureAwait(false);
        bool handedOver = false;
        try
        {
            if (options.PreferReplica && named.Info.IsMaster)
            {
                if (await TryOpenReplicaAsync(named, options, observer, cancellationToken).ConfigureAwait(false) is { } replica)
                {
                    return replica;
                }

                observer.Warning($"No replica of Redis at {connector.Display} is in step, so the master itself is backed up.");
            }

            CheckLink(named, options, observer);
            handedOver = true;
            return named;
        }
        finally
        {
            if (!handedOver)
            {
                await named.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Asks the server what it says of itself now.</summary>
    public static async Task<RedisInfo> ReadInfoAsync(RedisConnection connection, CancellationToken cancellationToken) =>
        RedisInfo.Parse((await connection.ExecuteAsync(new RedisCommand("INFO"), cancellationToken).ConfigureAwait(false)).Text);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Connection.DisposeAsync();

    /// <summary>The very server that is named, once it has loaded its data.</summary>
    public static async Task<RedisSource> OpenNamedAsync(
        RedisConnector connector, TimeSpan loadingTimeout, string activity, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            RedisInfo info = await WaitUntilLoadedAsync(connection, loadingTimeout, activity, observer, cancellationToken).ConfigureAwait(false);
            return info.Mode == "sentinel"
                ? throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    $"What answers at {connector.Display} is a Sentinel, which has no data.",
                    recommendation: "Name a Redis server; SENTINEL GET-MASTER-ADDR-BY-NAME tells the master's address.",
                    target: connector.Display)
                : new RedisSource(connector, connection, info);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<RedisInfo> WaitUntilLoadedAsync(
        RedisConnection connection, TimeSpan timeout, string activity, IOperationObserver observer, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        bool said = false;
        while (true)
        {
            // INFO is answered while loading; nearly everything else is not.
            RedisInfo info = await ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
            if (!info.IsLoading)
            {
                return info;
            }

            if (TimeProvider.System.GetElapsedTime(start) >= timeout)
            {
                throw new SmcException(
                    SmcErrorCode.ServerUnavailable,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Redis at {connection.Display} is still loading its data after {timeout.TotalSeconds:0.#} seconds ({info["loading_loaded_perc"] ?? "?"} %)."),
                    recommendation: "Wait until INFO persistence says loading:0, then run the command again.",
                    target: connection.Display);
            }

            if (!said)
            {
                observer.Verbose($"Redis at {connection.Display} is loading its data, which is waited for.");
                said = true;
            }

            observer.Progress(new OperationProgress(
                activity,
                $"Redis at {connection.Display} is loading",
                info.Number("loading_loaded_bytes") ?? 0,
                info.Number("loading_total_bytes")));
            await Task.Delay(s_loadingPoll, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The replica that has seen most, if it follows this very master and not another one.</summary>
    private static async Task<RedisSource?> TryOpenReplicaAsync(
        RedisSource master, RedisBackupOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string? history = master.Info["master_replid"];
        foreach (RedisReplica replica in master.Info.Replicas.OrderByDescending(static replica => replica.Offset))
        {
            RedisConnector connector = master.Connector.WithEndpoint(replica.Host, replica.Port);
            if (!replica.IsOnline || replica.LagSeconds is not { } lag || lag < 0 || lag > options.MaximumReplicaLag.TotalSeconds)
            {
                observer.Verbose($"The replica at {connector.Display} is not in step with its master and is not asked.");
                continue;
            }

            RedisSource? source = null;
            try
            {
                source = await OpenNamedAsync(
                    connector, TimeSpan.Zero, RedisBackup.Activity, observer, cancellationToken).ConfigureAwait(false);
                if (source.Info is { IsMaster: false, IsLinkUp: true } info && info["master_replid"] == history)
                {
                    observer.Verbose($"The replica at {connector.Display} is in step with its master and is backed up in its place.");
                    return new RedisSource(connector, source.Connection, info)
                    {
                        // What the master has written since it was asked does not count against the replica.
                        LagBytes = Math.Max(0, (master.Info.Offset ?? 0) - (info.Number("slave_repl_offset") ?? 0)),
                    };
                }

                observer.Verbose($"The server at {connector.Display} does not follow the master at {master.Connector.Display} now and is not asked.");
            }
            catch (SmcException e)
            {
                // Also where the address is one that only the master can reach, as with containers.
                observer.Verbose($"The replica at {connector.Display} is not asked: {e.Message}");
            }

            if (source is not null)
            {
                await source.DisposeAsync().ConfigureAwait(false);
            }
        }

        return null;
    }

    private static void CheckLink(RedisSource source, RedisBackupOptions options, IOperationObserver observer)
    {
        if (source.Info.IsMaster || source.Info.IsLinkUp)
        {
            return;
        }

        string since = source.Info.Number("master_link_down_since_seconds") is >= 0 and long seconds
            ? string.Create(CultureInfo.InvariantCulture, $" for {seconds} seconds")
            : "";
        string message = $"Redis at {source.Connector.Display} is a replica that has not heard its master{since}.";
        if (options.Method == RedisBackupMethod.BgSave)
        {
            // With the master gone for good, old data is better than none.
            observer.Warning(message + " The backup is as old as that.");
            return;
        }

        throw new SmcException(
            SmcErrorCode.ServerUnavailable,
            message,
            recommendation: "Back up the master. Where it is lost, the method BgSave saves what the replica has, or make the replica a master with REPLICAOF NO ONE first.",
            target: source.Connector.Display);
    }
}
