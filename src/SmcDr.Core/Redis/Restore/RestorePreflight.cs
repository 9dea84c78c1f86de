using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Looks at everything that a restore needs of a running server, before anything is changed.</summary>
internal sealed class RestorePreflight(
    RedisConnector connector, BackupHeader header, KeySelection selection, RedisRestoreOptions options, IOperationObserver observer)
{
    /// <summary>What a server takes as one argument unless it was told otherwise (<c>proto-max-bulk-len</c>).</summary>
    private const long DefaultValueLength = 512L << 20;

    /// <summary>For each key a server has an entry in its table and an object at least, of so many bytes.</summary>
    private const int LeastKeyOverhead = 16;

    private readonly RedisBackupDetails _details = header.Redis!;
    private readonly List<string> _warnings = [];
    private readonly SortedSet<string> _missing = new(StringComparer.Ordinal);
    private string? _suspend;
    private string? _deniedBy;
    private int _dumpVersion = header.Redis!.RdbVersion;
    private long _valueLength = DefaultValueLength;
    private bool _canCompare = true;
    private string _expiryCommand = "PEXPIRETIME";
    private ServerClock? _clock;

    /// <summary>What the backup itself allows, before a server is asked.</summary>
    /// <exception cref="SmcException">It is not one of Redis, cannot be read key by key, or has nothing of what is asked for.</exception>
    public static void CheckBackup(BackupHeader header, KeySelection selection)
    {
        if (header.Redis is not { } details)
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The backup '{header.Id}' is not one of Redis.",
                recommendation: "Choose one that 'Get-SmcBackup -Component Redis' lists.",
                target: header.Id);
        }

        if (details.NotExamined is { } reason)
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The backup '{header.Id}' cannot be restored key by key: {reason}",
                recommendation: "Restore it with the method Offline, which gives the server the file as it is, or update SmcDr.",
                target: header.Id);
        }

        if (selection.Of(details.Content) is { } databases && databases.Count < selection.Databases.Count)
        {
            int[] there = [.. details.Content!.Databases.Select(static database => database.Database)];
            IEnumerable<int> absent = selection.Databases.Except(there);
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The backup '{header.Id}' has no keys in database {string.Join(", ", absent)}.",
                recommendation: there.Length == 0 ? "The backup is empty: choose another." : $"It has keys in the databases {string.Join(", ", there)}.",
                target: header.Id);
        }
    }

    /// <summary>Looks at the server, or at all masters of its cluster.</summary>
    public async Task<RestoreTarget> RunAsync(CancellationToken cancellationToken)
    {
        RedisSource named = await OpenAsync(connector, cancellationToken).ConfigureAwait(false);
        await using (named.ConfigureAwait(false))
        {
            bool isCluster = named.Info.Mode == "cluster";
            RestoreNode[] nodes;
            RestoreNode[]? owners = null;
            if (isCluster)
            {
                CheckClusterDatabases();
                (nodes, owners) = await FindMastersAsync(named, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                CheckRole(named);
                _suspend = await SentinelWatch.FindAsync(
                    named.Connection, "A failover meanwhile would leave a master with a part of the data", observer, cancellationToken).ConfigureAwait(false);
                nodes = [new RestoreNode(connector, named.Info, static prefix => prefix + Guid.NewGuid().ToString("N"))];
                await CheckNodeAsync(named, nodes[0], cancellationToken).ConfigureAwait(false);
            }

            ThrowIfDenied(named.Connector);
            CheckMemory(nodes);
            CheckModules(nodes);
            return new RestoreTarget(nodes, owners)
            {
                Display = connector.Display,
                Clock = _clock!,
                Writer = new RestoreCommandWriter(named.Connection.GetName("RESTORE")),
                DumpVersion = _dumpVersion,
                MaximumValueLength = _valueLength,
                CanCompare = _canCompare,
                ExpiryCommand = _expiryCommand,
                Warnings = _warnings,
                SuspendFirst = _suspend,
            };
        }
    }

    private Task<RedisSource> OpenAsync(RedisConnector server, CancellationToken cancellationToken) =>
        RedisSource.OpenNamedAsync(server, options.LoadingTimeout, RedisOnlineRestore.Activity, observer, cancellationToken);

    private async Task<(RestoreNode[] Nodes, RestoreNode[] Owners)> FindMastersAsync(RedisSource named, CancellationToken cancellationToken)
    {
        ClusterTopology topology = await ClusterTopology.ReadAsync(named.Connection, cancellationToken).ConfigureAwait(false);
        RestoreNode[] nodes = new RestoreNode[topology.Masters.Count];
        for (int i = 0; i < nodes.Length; i++)
        {
            (string host, int port) = topology.Masters[i];
            int index = i;
            RedisSource master = await OpenAsync(connector.WithEndpoint(host, port), cancellationToken).ConfigureAwait(false);
            await using (master.ConfigureAwait(false))
            {
                CheckRole(master);
                nodes[i] = new RestoreNode(master.Connector, master.Info, prefix => CreateKey(prefix, slot => topology.Owners[slot] == index));
                await CheckNodeAsync(master, nodes[i], cancellationToken).ConfigureAwait(false);
            }
        }

        return (nodes, [.. topology.Owners.Select(owner => nodes[owner])]);
    }

    private static string CreateKey(string prefix, Func<int, bool> isHere)
    {
        while (true)
        {
            string key = prefix + Guid.NewGuid().ToString("N");
            if (isHere(HashSlot.Of(System.Text.Encoding.ASCII.GetBytes(key))))
            {
                return key;
            }
        }
    }

    private void CheckClusterDatabases()
    {
        int[] others = _details.Content is { } content
            ? [.. selection.Of(content)!.Select(static database => database.Database).Where(static number => number != 0)]
            : [.. selection.Databases.Where(static number => number != 0)];
        if (others.Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"A cluster such as that of Redis at {connector.Display} has database 0 alone, and the backup '{header.Id}' has keys in the databases {string.Join(", ", others)}.",
                recommendation: "Restore database 0 alone (-Database 0, or --database 0), or restore to a server that is no cluster.",
                target: connector.Display);
        }
    }

    private static void CheckRole(RedisSource source)
    {
        if (source.Info.IsMaster)
        {
            return;
        }

        throw new SmcException(
            SmcErrorCode.TargetIsReplica,
            $"Redis at {source.Connector.Display} is a replica of {source.Info["master_host"]}:{source.Info["master_port"]}, and takes no data but its master's.",
            recommendation: $"Restore to the master at {source.Info["master_host"]}:{source.Info["master_port"]}; the replica receives the data from it. Where the master is lost, make the replica one first (REPLICAOF NO ONE, or SENTINEL FAILOVER).",
            target: source.Connector.Display);
    }

    private async Task CheckNodeAsync(RedisSource source, RestoreNode node, CancellationToken cancellationToken)
    {
        RedisConnection connection = source.Connection;
        string key = node.CreateKey("smcdr-probe-");
        await CheckRestoreAsync(source, key, cancellationToken).ConfigureAwait(false);
        RedisReply time = await connection.TryExecuteAsync(new RedisCommand("TIME"), cancellationToken).ConfigureAwait(false);
        if (!IsDenied(time, "+time"))
        {
            // Of several servers that of the first: whoever runs a cluster with clocks that differ has other troubles before this one.
            _clock ??= time.IsError ? throw connection.Translate(time, "TIME") : ServerClock.Parse(time);
        }

        await CheckDatabasesAsync(connection, cancellationToken).ConfigureAwait(false);
        await CheckRightsAsync(connection, key, cancellationToken).ConfigureAwait(false);
        await ReadLimitsAsync(connection, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A dump that creates nothing: it shows whether the user may restore, whether the server takes writes at all, and which dumps.</summary>
    private async Task CheckRestoreAsync(RedisSource source, string key, CancellationToken cancellationToken)
    {
        RedisConnection connection = source.Connection;
        RedisReply reply = await connection.TryExecuteAsync(
            DumpProbe.Command(key, _details.RdbVersion), cancellationToken).ConfigureAwait(false);
        if (IsDenied(reply, "+restore"))
        {
            return;
        }

        if (reply.IsError && DumpProbe.Read(reply) is null && !RedisErrors.IsKeyDenied(reply))
        {
            throw connection.Translate(reply, "RESTORE");
        }

        int version = DumpProbe.Read(reply) switch
        {
            true => _details.RdbVersion,
            false => await DumpProbe.FindOlderAsync(connection, key, _details.RdbVersion, cancellationToken).ConfigureAwait(false),
            // A user that may not touch this key, or a server that only speaks Redis's protocol.
            null => Math.Min(_details.RdbVersion, DumpProbe.Guess(source.Info.Version)),
        };
        _dumpVersion = version > 0 ? Math.Min(_dumpVersion, version) : throw new SmcException(
            SmcErrorCode.RdbNewer,
            string.Create(CultureInfo.InvariantCulture, $"Redis {source.Info.Version} at {connection.Display} takes no dump of version {_details.RdbVersion}, in which the backup '{header.Id}' of Redis {_details.ServerVersion} is, nor of an older one."),
            target: connection.Display);
    }

    private async Task CheckDatabasesAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        int[] databases = selection.Of(_details.Content) is { } content
            ? [.. content.Select(static database => database.Database)]
            : [.. selection.Databases];
        if (databases.Length == 0 || databases.Max() == 0)
        {
            return;
        }

        RedisReply reply = await connection.TryExecuteAsync(new RedisCommand("SELECT", databases.Max()), cancellationToken).ConfigureAwait(false);
        if (IsDenied(reply, "+select") || !reply.IsError)
        {
            return;
        }

        throw new SmcException(
            SmcErrorCode.SettingUnsuitable,
            string.Create(CultureInfo.InvariantCulture, $"Redis at {connection.Display} has no database {databases.Max()}, in which the backup '{header.Id}' has keys: {RedisErrors.Clean(reply.Text)}."),
            recommendation: "Raise 'databases' in the server's configuration and restart it, or restore only databases that it has.",
            target: connection.Display);
    }

    private async Task CheckRightsAsync(RedisConnection connection, string key, CancellationToken cancellationToken)
    {
        List<(RedisCommand Command, string Rule)> needed = [];
        if (options.Empty)
        {
            // With two words that it does not know FLUSHALL does nothing; with one, some that are no Redis flush.
            string flush = selection.Databases.Count > 0 ? "FLUSHDB" : "FLUSHALL";
            needed.Add((new RedisCommand(flush, "smcdr", "probe"), "+" + flush.ToLowerInvariant()));
        }

        if (HasFunctions)
        {
            needed.Add((new RedisCommand("FUNCTION", "RESTORE", "smcdr", "probe"), "+function|restore"));
        }

        if (needed.Count > 0)
        {
            RedisReply[] replies = await connection.ExecuteManyAsync(
                [.. needed.Select(static one => one.Command)], cancellationToken).ConfigureAwait(false);
            foreach ((RedisReply reply, (RedisCommand command, string rule)) in replies.Zip(needed))
            {
                if (IsDenied(reply, rule) || command.Name == "FUNCTION")
                {
                    continue;
                }

                if (RedisErrors.IsUnknown(reply))
                {
                    throw connection.Translate(reply, command.Name);
                }
            }
        }

        await CheckComparingAsync(connection, key, cancellationToken).ConfigureAwait(false);
    }

    private bool HasFunctions => selection.IsEverything && _details.Content?.Functions.Count > 0;

    private async Task CheckComparingAsync(RedisConnection connection, string key, CancellationToken cancellationToken)
    {
        if (options.SampleSize == 0 || !connection.Knows("DUMP"))
        {
            _canCompare = false;
            return;
        }

        ComparingRights rights = await ComparingRights.AskAsync(connection, key, cancellationToken).ConfigureAwait(false);
        // Of a cluster one older node is enough.
        _expiryCommand = rights.ExpiryCommand == "PTTL" ? rights.ExpiryCommand : _expiryCommand;
        if (_canCompare && rights.Refusal is { } refusal)
        {
            _canCompare = false;
            _warnings.Add($"What is restored to Redis at {connection.Display} cannot be compared with the backup afterwards: {refusal}.");
        }
    }

    private async Task ReadLimitsAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        if (!connection.Knows("CONFIG"))
        {
            return;
        }

        // An argument is in the query buffer whole, with the line end behind it (networking.c, processMultibulkBuffer).
        foreach ((string setting, int beside) in ((string, int)[])[("proto-max-bulk-len", 0), ("client-query-buffer-limit", 2)])
        {
            RedisReply reply = await connection.TryExecuteAsync(new RedisCommand("CONFIG", "GET", setting), cancellationToken).ConfigureAwait(false);
            // Who may not ask learns it when a value is too long.
            if (reply.Items is [_, var value] && long.TryParse(value.Text, CultureInfo.InvariantCulture, out long limit) && limit > 0)
            {
                _valueLength = Math.Min(_valueLength, limit - beside);
            }
        }
    }

    private void CheckMemory(RestoreNode[] nodes)
    {
        long limit = nodes.Sum(static node => node.Info.Number("maxmemory") ?? 0);
        if (nodes.Any(static node => node.Info.Number("maxmemory") is null or 0) || selection.Of(_details.Content) is not { } databases)
        {
            return;
        }

        long own = nodes.Sum(static node => node.Info.Number("used_memory_startup") ?? 0);
        long room = Math.Max(0, limit - own);
        string policy = nodes[0].Info["maxmemory_policy"] ?? "noeviction";
        string names = nodes.Length == 1 ? $"Redis at {nodes[0].Display} has" : $"The {nodes.Length} masters of the cluster have";
        if (!selection.HasPatterns && policy == "noeviction")
        {
            // Keys with a time to live may have expired. In memory keys and values are never smaller than in the RDB.
            double least = databases.Sum(static database =>
                (database.Bytes + (LeastKeyOverhead * database.Keys)) * (database.Keys - database.Expires) / (double)database.Keys);
            if (least > room)
            {
                throw new SmcException(
                    SmcErrorCode.TargetMemoryInsufficient,
                    $"{names} room for {DisplayText.Size(room)} by maxmemory, and what is to be restored needs {DisplayText.Size((long)least)} at least{Estimate()}.",
                    target: connector.Display);
            }
        }

        if (selection.HasPatterns || EstimateBytes(databases) is not { } estimate)
        {
            return;
        }

        long present = options.Empty && selection.Databases.Count == 0 ? 0 : nodes.Sum(static node => node.Info.Number("used_memory") ?? 0) - own;
        if (estimate + present > room)
        {
            _warnings.Add(policy == "noeviction"
                ? $"{names} room for {DisplayText.Size(room)} by maxmemory, and the restored data may need about {DisplayText.Size(estimate)}{Present(present)}: the restore ends where it is used up."
                : $"{names} room for {DisplayText.Size(room)} by maxmemory, and the restored data may need about {DisplayText.Size(estimate)}{Present(present)}: the policy {policy} would then remove keys meanwhile.");
        }

        string Estimate() => EstimateBytes(databases) is { } bytes ? $" (the server that was backed up used {DisplayText.Size(bytes)} for it)" : "";
        static string Present(long bytes) => bytes > 0 ? $" beside the {DisplayText.Size(bytes)} that are in use" : "";
    }

    /// <summary>What the selected databases took on the server that was backed up, its own needs among it.</summary>
    private long? EstimateBytes(IReadOnlyList<RedisDatabaseContent> databases) =>
        _details.Content is { UsedMemory: { } used, Bytes: > 0 and var all }
            ? (long)(used * (double)databases.Sum(static database => database.Bytes) / all)
            : null;

    private void CheckModules(RestoreNode[] nodes)
    {
        if (_details.Content is { Modules.Count: > 0 } content && nodes.Any(static node => node.Info["module"] is null))
        {
            _warnings.Add(
                $"The backup has values of the modules' types {string.Join(", ", content.Modules)}, and Redis at {connector.Display} has no modules loaded: it will not take them.");
        }
    }

    /// <summary>Whether the user may not run a command; all that it lacks is told at once.</summary>
    private bool IsDenied(RedisReply reply, string rule)
    {
        if (!reply.IsError || RedisErrors.CodeOf(reply) != "NOPERM" || RedisErrors.IsKeyDenied(reply))
        {
            return false;
        }

        _missing.Add(rule);
        _deniedBy ??= RedisErrors.Clean(reply.Text);
        return true;
    }

    private void ThrowIfDenied(RedisConnector server)
    {
        if (_missing.Count > 0)
        {
            string rules = string.Join(' ', _missing);
            throw new SmcException(
                SmcErrorCode.PrivilegeMissing,
                $"On Redis at {server.Display}, {server.DisplayUser} lacks rights that the restore needs ({rules}): {_deniedBy}.",
                recommendation: $"Run on the server: ACL SETUSER {server.Options.Username ?? "default"} {rules}, and ACL SAVE where it has an ACL file.",
                target: server.Display);
        }
    }
}
