using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis;

/// <summary>Backs up a Redis server: its RDB, straight into the repository.</summary>
/// <remarks>
/// The user that connects needs, of an ACL, <c>+info +psync +replconf</c>, for the method BgSave <c>+info +bgsave +lastsave</c>, and in both cases
/// <c>+config|get</c> (before Redis 7 <c>+config</c>) so that the backup also says how the server was set.
/// </remarks>
public static class RedisBackup
{
    internal const string Activity = "Redis backup";

    /// <summary>What a server calls the file itself, unless told otherwise.</summary>
    internal const string FileName = "dump.rdb";

    private const string Kind = "Full";

    /// <summary>What matters to whoever sets up a server for the restored data. None of them is a secret.</summary>
    private static readonly string[] s_settings =
    [
        "appenddirname", "appendfilename", "appendonly", "aof-use-rdb-preamble", "cluster-enabled", "databases", "dbfilename", "dir",
        "maxmemory", "maxmemory-policy", "rdbchecksum", "rdbcompression", "repl-diskless-sync", "save",
    ];

    /// <summary>Takes a backup.</summary>
    /// <param name="connector">The server.</param>
    /// <param name="repository">Where the backup goes.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Is told decisions, warnings and progress.</param>
    /// <param name="cancellationToken">Stops the work: what was stored of it is removed.</param>
    /// <exception cref="SmcException">The server cannot be reached, refuses, or broke off; or the repository cannot be written.</exception>
    public static async Task<BackupInfo> RunAsync(
        RedisConnector connector,
        Repository repository,
        RedisBackupOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        if (options is { PreferReplica: true, Method: RedisBackupMethod.BgSave })
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A replica cannot be preferred with the method BgSave, which reads the file of the server that was named.",
                recommendation: "Name the replica itself, or use the method Replication.");
        }

        try
        {
            RedisSource source = await RedisSource.OpenAsync(connector, options, observer, cancellationToken).ConfigureAwait(false);
            await using (source.ConfigureAwait(false))
            {
                return await new Run(source, repository, options, observer).ExecuteAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    /// <summary>One backup.</summary>
    private sealed class Run(RedisSource source, Repository repository, RedisBackupOptions options, IOperationObserver observer)
    {
        private readonly RdbIntegrity _integrity = new($"Redis at {source.Connector.Display}");
        private IRdbObserver _inspector = null!;
        private DateTimeOffset _transferStart;

        private string Display => source.Connector.Display;

        public async Task<BackupInfo> ExecuteAsync(CancellationToken cancellationToken)
        {
            if (source.Info.Mode == "cluster")
            {
                observer.Warning($"Redis at {Display} is one node of a cluster: the backup holds its slots only. Back up one node of each shard.");
            }

            IReadOnlyDictionary<string, string>? settings = await ReadSettingsAsync(cancellationToken).ConfigureAwait(false);
            FileInfo? file = options.Method == RedisBackupMethod.BgSave ? FindFile(settings) : null;
            BackupWriter writer = await repository.BeginBackupAsync(
                Component.Redis,
                Kind,
                options.Label,
                options.Site,
                null,
                new BackupWriterOptions { PackSize = options.PackSize, Codec = options.Codec },
                cancellationToken).ConfigureAwait(false);
            await using (writer.ConfigureAwait(false))
            {
                observer.Verbose($"Backup '{writer.Id}' of Redis {source.Info.Version} at {Display} begins.");
                _inspector = options.Inspect?.Invoke() ?? new RdbInspector($"Redis at {Display}", observer);
                try
                {
                    RedisBackupDetails details = file is null
                        ? await TakeByReplicationAsync(writer, cancellationToken).ConfigureAwait(false)
                        : await TakeFileAsync(writer, file, cancellationToken).ConfigureAwait(false);
                    return await CompleteAsync(writer, details with { Settings = settings }, cancellationToken).ConfigureAwait(false);
                }
                finally
                {
                    await _inspector.DisposeAsync().ConfigureAwait(false);
                }
            }
        }

        private DateTimeOffset StopTime { get; set; }

        private async Task<BackupInfo> CompleteAsync(BackupWriter writer, RedisBackupDetails details, CancellationToken cancellationToken)
        {
            if (!details.HasChecksum)
            {
                observer.Warning($"Redis at {Display} sent its data without a checksum (rdbchecksum is off), so damage on the way here would not be seen.");
            }

            RedisSkew? skew = await FindSkewAsync(cancellationToken).ConfigureAwait(false);
            BackupHeader header = await writer.CompleteAsync(
                Kind, header => header with { StopTime = StopTime, Redis = details with { DatabaseSkew = skew } }, cancellationToken).ConfigureAwait(false);
            observer.Verbose(string.Create(
                CultureInfo.InvariantCulture, $"The backup '{header.Id}' holds an RDB of version {details.RdbVersion} and {header.SizeBytes} bytes."));
            return repository.Describe(header);
        }

        private async Task<RedisBackupDetails> TakeByReplicationAsync(BackupWriter writer, CancellationToken cancellationToken)
        {
            observer.Progress(new OperationProgress(Activity, $"Waiting for Redis at {Display} to begin"));
            RedisReplication replication = await RedisReplication.OpenAsync(source.Connector, observer, cancellationToken).ConfigureAwait(false);
            await using (replication.ConfigureAwait(false))
            {
                StopTime = await DateAsync(replication.BeginTime, cancellationToken).ConfigureAwait(false);
                observer.Progress(new OperationProgress(Activity, $"Waiting for the data of Redis at {Display}"));
                RdbPayload payload = await replication.ReadPayloadAsync(cancellationToken).ConfigureAwait(false);
                await using (payload.ConfigureAwait(false))
                {
                    await StoreAsync(writer, payload, replication.Length, cancellationToken).ConfigureAwait(false);
                }

                return Describe() with { ReplicationId = replication.ReplicationId, ReplicationOffset = replication.Offset };
            }
        }

        private async Task<RedisBackupDetails> TakeFileAsync(BackupWriter writer, FileInfo file, CancellationToken cancellationToken)
        {
            BackgroundSave save = new(source.Connection, options.SaveTimeout, observer);
            (DateTimeOffset time, RedisInfo before) = await save.RunAsync(cancellationToken).ConfigureAwait(false);
            StopTime = time;
            using (FileStream content = Open(file))
            {
                // The server writes a file beside it and renames that, so an open file stays what it was, also when the next save ends. What
                // else may write into it shows in its length and time.
                (long length, DateTime modified) = (content.Length, File.GetLastWriteTimeUtc(content.SafeFileHandle));
                if (modified < time.UtcDateTime.AddSeconds(-1))
                {
                    throw new SmcException(
                        SmcErrorCode.TargetUnsuitable,
                        $"The file '{file.FullName}' was not written by the save that just ended: it is from {modified:u}.",
                        recommendation: "Name the file that this very server writes (CONFIG GET dir and dbfilename), as it is seen on this host, or use the method Replication.",
                        target: file.FullName);
                }

                await StoreAsync(writer, content, length, cancellationToken).ConfigureAwait(false);
                if (_integrity.Length != length || content.Length != length || File.GetLastWriteTimeUtc(content.SafeFileHandle) != modified)
                {
                    throw new SmcException(
                        SmcErrorCode.BackupInterrupted,
                        $"The file '{file.FullName}' was changed while it was read.",
                        recommendation: "Find out what else writes to it, and run the backup again.",
                        target: file.FullName);
                }
            }

            return Describe() with { ReplicationId = before["master_replid"], ReplicationOffset = before.Offset };
        }

        private async Task StoreAsync(BackupWriter writer, Stream content, long? total, CancellationToken cancellationToken)
        {
            _transferStart = DateTimeOffset.UtcNow;
            PackLane lane = writer.OpenLane();
            await using (lane.ConfigureAwait(false))
            {
                ManifestEntry entry = await StreamedFileWriter.WriteAsync(
                    content,
                    FileName,
                    lane,
                    async (block, token) =>
                    {
                        _integrity.Append(block.Span);
                        await _inspector.ObserveAsync(block, token).ConfigureAwait(false);
                        observer.Progress(new OperationProgress(Activity, $"Data of Redis at {Display}", _integrity.Length, total));
                    },
                    cancellationToken).ConfigureAwait(false);
                _integrity.Complete();
                await _inspector.CompleteAsync(_integrity, cancellationToken).ConfigureAwait(false);
                await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
                writer.Add(entry);
            }
        }

        private RedisBackupDetails Describe()
        {
            RedisBackupDetails details = new()
            {
                Path = FileName,
                ServerVersion = source.Info.Version,
                Mode = source.Info.Mode,
                Role = source.Info.IsMaster ? "master" : "replica",
                Source = Display,
                RunId = source.Info.RunId,
                ReplicaLagBytes = source.LagBytes,
                Method = options.Method.ToString(),
                RdbVersion = _integrity.Version,
                HasChecksum = _integrity.HasChecksum,
                TransferStartTime = _transferStart,
                TransferStopTime = DateTimeOffset.UtcNow,
                Databases = source.Info.Databases,
            };
            return _inspector.Describe(details);
        }

        /// <summary>
        /// The instant of which the data is. A server that was saving already for another replica hands out the same save again
        /// (replication.c, syncCommand), which began before it answered us.
        /// </summary>
        private async Task<DateTimeOffset> DateAsync(DateTimeOffset answered, CancellationToken cancellationToken)
        {
            RedisInfo info = await RedisSource.ReadInfoAsync(source.Connection, cancellationToken).ConfigureAwait(false);
            if (!info.IsSaving || info.Number("rdb_current_bgsave_time_sec") is not ({ } seconds and >= 0))
            {
                return answered;
            }

            DateTimeOffset began = DateTimeOffset.UtcNow.AddSeconds(-seconds);
            return began < answered ? began : answered;
        }

        private async Task<IReadOnlyDictionary<string, string>?> ReadSettingsAsync(CancellationToken cancellationToken)
        {
            if (!source.Connection.Knows("CONFIG"))
            {
                return null;
            }

            RedisReply[] replies = await source.Connection.ExecuteManyAsync(
                [.. s_settings.Select(static name => new RedisCommand("CONFIG", "GET", name))], cancellationToken).ConfigureAwait(false);
            SortedDictionary<string, string> settings = new(StringComparer.Ordinal);
            foreach (RedisReply reply in replies)
            {
                if (reply.IsError)
                {
                    observer.Verbose(
                        $"The settings of Redis at {Display} cannot be read and are not noted in the backup: {RedisErrors.Clean(reply.Text)}.");
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

        private FileInfo FindFile(IReadOnlyDictionary<string, string>? settings)
        {
            string? path = options.RdbPath;
            if (path is null && settings is not null && settings.TryGetValue("dir", out string? directory) && settings.TryGetValue("dbfilename", out string? name))
            {
                path = Path.Combine(directory, name);
            }

            FileInfo file = new(path ?? throw new SmcException(
                SmcErrorCode.PrivilegeMissing,
                $"Where Redis at {Display} saves cannot be read from its settings by {source.Connector.DisplayUser}.",
                recommendation: "Name the file, or run on the server: ACL SETUSER <user> +config|get (before Redis 7: +config).",
                target: Display));
            // Before the server is made to save for nothing.
            return Directory.Exists(file.DirectoryName) ? file : throw Unreadable(file, new DirectoryNotFoundException("there is no such directory."));
        }

        private FileStream Open(FileInfo file)
        {
            try
            {
                return new FileStream(
                    file.FullName,
                    new FileStreamOptions
                    {
                        Mode = FileMode.Open,
                        Access = FileAccess.Read,
                        // On Windows, too, the server must be able to replace it.
                        Share = FileShare.ReadWrite | FileShare.Delete,
                        Options = FileOptions.SequentialScan | FileOptions.Asynchronous,
                        BufferSize = 0,
                    });
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Unreadable(file, e);
            }
        }

        private SmcException Unreadable(FileInfo file, Exception reason) => new(
            SmcErrorCode.TargetUnsuitable,
            $"The file '{file.FullName}', to which Redis at {Display} saves, cannot be read here: {reason.Message}",
            reason,
            "Run the backup on the server's host, as an account that may read the file, or use the method Replication, which needs no file.",
            file.FullName);

        private async Task<RedisSkew?> FindSkewAsync(CancellationToken cancellationToken)
        {
            try
            {
                List<string> ids = [];
                await foreach (string id in repository.ListFoldersAsync(RepositoryKeys.ComponentFolder(Component.Database) + "/", cancellationToken).ConfigureAwait(false))
                {
                    if (RepositoryKeys.IsId(id))
                    {
                        ids.Add(id);
                    }
                }

                foreach (string id in ids.OrderDescending(StringComparer.Ordinal))
                {
                    if (await repository.TryReadHeaderAsync(Component.Database, id, cancellationToken).ConfigureAwait(false) is { StopTime: { } stop })
                    {
                        return new RedisSkew(id, stop, Math.Round((StopTime - stop).TotalSeconds, 3));
                    }
                }
            }
            catch (SmcException e) when (Repository.IsUnreadable(e))
            {
                // A backup of the database that is damaged is no reason to have none of Redis.
                observer.Warning($"How far the backup lies from that of the database is not known: {e.Message}");
            }

            return null;
        }
    }
}
