using System.Globalization;
using System.Text.Json;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// Backs databases up by content, with PostgreSQL's own programs: <c>pg_dumpall --globals-only</c> for roles and tablespaces, and
/// <c>pg_dump -Fc</c> for each database, straight into the repository.
/// </summary>
/// <remarks>
/// <para>
/// A dump is no base for replaying WAL. It is what can be restored in part, beside, into another version, and where a physical backup would
/// bring damaged pages along.
/// </para>
/// <para>
/// pg_dump does not compress: the repository does, with Zstandard. Of a dump of 240 MB that left 25 MB in 2.2 s, and pg_dump's own gzip 31 MB in
/// 3.9 s. What a reader extracts is the archive as pg_dump wrote it.
/// </para>
/// </remarks>
public static class LogicalBackup
{
    internal const string Activity = "Logical backup";
    private const int MaximumDumpAttempts = 20;
    private static readonly TimeSpan s_lockTimeout = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_emergencyLockTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Takes a logical or an emergency backup.</summary>
    /// <param name="connector">The server.</param>
    /// <param name="repository">Where the backup goes.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Is told decisions, warnings and progress.</param>
    /// <param name="cancellationToken">Stops the work: what was stored of it is removed.</param>
    /// <returns>The backup; an emergency backup of which something is missing has the state <c>Partial</c>.</returns>
    public static async Task<BackupInfo> RunAsync(
        PostgresConnector connector,
        Repository repository,
        LogicalBackupOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            (ServerOverview server, List<DatabaseRow> rows) = await ReadServerAsync(connector, cancellationToken).ConfigureAwait(false);
            List<DatabaseRow> databases = Choose(rows, options, connector, observer);
            ClientPrograms programs = await ClientPrograms
                .FindAsync(options.BinDirectory, server.Major, $"The server at {connector.Display}", cancellationToken).ConfigureAwait(false);
            await CheckClusterAsync(repository, server, options, connector, observer, cancellationToken).ConfigureAwait(false);
            using ClientEnvironment environment = await ClientEnvironment.CreateAsync(connector, cancellationToken).ConfigureAwait(false);
            Run run = new(connector, repository, options, observer, server, programs, environment);
            return await run.ExecuteAsync(databases, cancellationToken).ConfigureAwait(false);
        }
        catch (NpgsqlException e)
        {
            throw connector.Translate(e);
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    private static async Task<(ServerOverview Server, List<DatabaseRow> Databases)> ReadServerAsync(
        PostgresConnector connector, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await MaintenanceConnection.OpenAsync(connector, null, cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            return (
                await ServerOverview.ReadAsync(connector, connection, cancellationToken).ConfigureAwait(false),
                await DatabaseCatalog.ReadDatabasesAsync(connection, cancellationToken).ConfigureAwait(false));
        }
    }

    private static List<DatabaseRow> Choose(
        List<DatabaseRow> rows, LogicalBackupOptions options, PostgresConnector connector, IOperationObserver observer)
    {
        if (options.Databases.Count == 0)
        {
            foreach (DatabaseRow row in rows.Where(static row => !row.IsTemplate && (!row.AllowsConnections || row.IsInvalid)))
            {
                observer.Warning($"The database '{row.Name}' takes no connections, so it is not in the backup.");
            }

            return [.. rows.Where(static row => row is { IsTemplate: false, AllowsConnections: true, IsInvalid: false })];
        }

        Dictionary<string, DatabaseRow> known = rows.ToDictionary(static row => row.Name, StringComparer.Ordinal);
        return [.. options.Databases.Distinct(StringComparer.Ordinal).Select(name => known.GetValueOrDefault(name) ?? throw new SmcException(
            SmcErrorCode.ArgumentInvalid,
            $"There is no database '{name}' at {connector.Display}; there are: {string.Join(", ", known.Keys)}.",
            recommendation: "Give the databases' names as they are, in capital and small letters.",
            target: name))];
    }

    private static async Task CheckClusterAsync(
        Repository repository,
        ServerOverview server,
        LogicalBackupOptions options,
        PostgresConnector connector,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        if (server.SystemId is not { } systemId)
        {
            return;
        }

        try
        {
            await ClusterIdentity.CheckAsync(repository, systemId, options.NewCluster, connector.Display, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.SystemIdMismatch && options.Emergency)
        {
            // In an emergency it is better to have too much than nothing.
            observer.Warning(e.Message);
        }
    }

    /// <summary>One backup.</summary>
    private sealed class Run(
        PostgresConnector connector,
        Repository repository,
        LogicalBackupOptions options,
        IOperationObserver observer,
        ServerOverview server,
        ClientPrograms programs,
        ClientEnvironment environment)
    {
        private readonly Lock _lock = new();
        private readonly List<LogicalDatabaseDetails> _databases = [];
        private readonly List<LogicalFailure> _failures = [];
        private SmcException? _firstFailure;
        private long _done;
        private long? _total;

        private string Kind => options.Emergency ? BackupKinds.Emergency : BackupKinds.Logical;

        public async Task<BackupInfo> ExecuteAsync(List<DatabaseRow> databases, CancellationToken cancellationToken)
        {
            BackupWriter writer = await repository.BeginBackupAsync(
                Component.Database,
                Kind,
                options.Label,
                options.Site,
                server.SystemId?.ToString(CultureInfo.InvariantCulture),
                new BackupWriterOptions { PackSize = options.PackSize, Codec = options.Codec },
                cancellationToken).ConfigureAwait(false);
            BackupHeader header;
            Dictionary<string, (ArchiveContents Contents, long Size)> written = [];
            await using (writer.ConfigureAwait(false))
            {
                observer.Verbose($"Backup '{writer.Id}' of PostgreSQL {server.Version} at {connector.Display} with pg_dump {programs.Version} begins.");
                string? globals = await DumpGlobalsAsync(writer, cancellationToken).ConfigureAwait(false);
                _total = await SumSizesAsync(databases, cancellationToken).ConfigureAwait(false);
                await Parallel.ForEachAsync(
                    databases,
                    new ParallelOptions
                    {
                        MaxDegreeOfParallelism = options.Parallelism ?? Math.Clamp(Environment.ProcessorCount / 2, 1, 4),
                        CancellationToken = cancellationToken,
                    },
                    async (database, token) =>
                    {
                        if (await DumpAsync(writer, database, token).ConfigureAwait(false) is { } dump)
                        {
                            lock (_lock)
                            {
                                _databases.Add(dump.Details);
                                written.Add(dump.Details.Path, (dump.Contents, dump.Size));
                            }
                        }
                    }).ConfigureAwait(false);
                if (_databases.Count == 0 && _firstFailure is not null)
                {
                    throw _firstFailure;
                }

                header = await writer.CompleteAsync(
                    Kind,
                    header => header with
                    {
                        // The youngest snapshot: what was committed before the oldest is in every database's dump.
                        StopTime = _databases.Max(static database => database.SnapshotTime),
                        Logical = new LogicalBackupDetails
                        {
                            SystemId = server.SystemId?.ToString(CultureInfo.InvariantCulture),
                            ServerVersion = server.Version,
                            ServerVersionNumber = server.VersionNumber,
                            ProgramVersion = programs.Version,
                            Globals = globals,
                            RolePasswords = globals is not null && WithPasswords,
                            Selected = [.. options.Databases.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
                            Databases = [.. _databases.OrderBy(static database => database.Name, StringComparer.Ordinal)],
                            Failures = _failures,
                        },
                    },
                    cancellationToken).ConfigureAwait(false);
            }

            await VerifyStoredAsync(header, written, cancellationToken).ConfigureAwait(false);
            return repository.Describe(header);
        }

        private bool WithPasswords => options.RolePasswords && server.CanReadPasswords;

        private async Task<string?> DumpGlobalsAsync(BackupWriter writer, CancellationToken cancellationToken)
        {
            observer.Progress(new OperationProgress(Activity, "Roles and tablespaces"));
            if (options.RolePasswords && !server.CanReadPasswords)
            {
                observer.Warning($"User '{connector.Username}' may not read the roles' passwords, so they are not in the backup: only a superuser may.");
            }

            try
            {
                string[] arguments = WithPasswords
                    ? ["--globals-only", "--no-password"]
                    : ["--globals-only", "--no-password", "--no-role-passwords"];
                (int exitCode, string output, string error) = await ClientProcess
                    .RunAsync(programs.PathOf("pg_dumpall"), arguments, environment.Variables, cancellationToken).ConfigureAwait(false);
                if (exitCode != 0)
                {
                    throw ClientFailure.Translate("pg_dumpall", exitCode, error, "roles and tablespaces", connector, SmcErrorCode.BackupInterrupted);
                }

                // The program ends with this line; without it the output was cut short.
                if (!output.Contains("-- PostgreSQL database cluster dump complete", StringComparison.Ordinal))
                {
                    throw new SmcException(
                        SmcErrorCode.VerificationFailed,
                        "The output of pg_dumpall has no end.",
                        recommendation: "Run the backup again.",
                        target: connector.Display);
                }

                await AddSmallAsync(writer, DumpPaths.Globals, System.Text.Encoding.UTF8.GetBytes(output), cancellationToken).ConfigureAwait(false);
                return DumpPaths.Globals;
            }
            catch (SmcException e) when (options.Emergency && !IsStorage(e))
            {
                Fail("globals", e);
                return null;
            }
        }

        private async Task<(LogicalDatabaseDetails Details, ArchiveContents Contents, long Size)?> DumpAsync(
            BackupWriter writer, DatabaseRow database, CancellationToken cancellationToken)
        {
            List<string> excluded = [];
            while (true)
            {
                try
                {
                    return await DumpOnceAsync(writer, database, excluded, cancellationToken).ConfigureAwait(false);
                }
                catch (DumpFailedException e) when (options.Emergency && e.UnreadableTable is { } table &&
                    excluded.Count < MaximumDumpAttempts && !excluded.Contains(table))
                {
                    observer.Warning($"The rows of {table} in the database '{database.Name}' cannot be read and are left out: {e.Reason.Message}");
                    excluded.Add(table);
                }
                catch (DumpFailedException e)
                {
                    return Failed(e.Reason);
                }
                catch (SmcException e)
                {
                    return Failed(e);
                }
                catch (NpgsqlException e)
                {
                    return Failed(connector.Translate(e));
                }
            }

            (LogicalDatabaseDetails, ArchiveContents, long)? Failed(SmcException e)
            {
                if (!options.Emergency || IsStorage(e))
                {
                    throw e;
                }

                Fail(database.Name, e);
                return null;
            }
        }

        private async Task<(LogicalDatabaseDetails Details, ArchiveContents Contents, long Size)> DumpOnceAsync(
            BackupWriter writer, DatabaseRow database, List<string> excluded, CancellationToken cancellationToken)
        {
            DumpSnapshot snapshot = await DumpSnapshot.OpenAsync(
                connector.WithDatabase(database.Name), tolerant: options.Emergency, observer, cancellationToken).ConfigureAwait(false);
            await using (snapshot.ConfigureAwait(false))
            {
                using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                Task<List<LogicalTableDetails>?> counting = options.ExactRowCount
                    ? snapshot.CountAsync(failed.Token)
                    : Task.FromResult(snapshot.Tables);
                ArchiveInspector inspector = new();
                ManifestEntry entry;
                try
                {
                    entry = await StreamAsync(writer, database.Name, snapshot, excluded, inspector, cancellationToken).ConfigureAwait(false);
                }
                catch
                {
                    await failed.CancelAsync().ConfigureAwait(false);
                    await ((Task)counting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    throw;
                }

                List<LogicalTableDetails>? tables = await counting.ConfigureAwait(false);
                tables = tables is null ? null : Compare(database.Name, inspector, tables, excluded);
                string? tablesPath = null;
                if (tables is not null)
                {
                    tablesPath = DumpPaths.Tables(database.Name);
                    await AddSmallAsync(writer, tablesPath, Serialize(tables), cancellationToken).ConfigureAwait(false);
                }

                writer.Add(entry);
                List<ArchiveEntry> data = [.. inspector.Contents!.Entries.Where(static entry => entry.Kind == ArchiveKinds.TableData)];
                LogicalDatabaseDetails details = database.Details with
                {
                    Path = entry.Path,
                    TablesPath = tablesPath,
                    SizeBytes = snapshot.SizeBytes,
                    SnapshotTime = snapshot.Time,
                    SnapshotLsn = snapshot.Lsn,
                    TableCount = tables?.Count ?? data.Count,
                    RowCount = data.Sum(item => inspector.RowsOf(item) ?? 0),
                    LargeObjectCount = inspector.LargeObjectCount,
                    ExcludedTables = [.. excluded],
                };
                observer.Verbose(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The dump of '{database.Name}' has {entry.Size} bytes with {details.TableCount} tables and {details.RowCount} rows, as of {details.SnapshotTime:O}."));
                return (details, inspector.Contents, entry.Size);
            }
        }

        private async Task<ManifestEntry> StreamAsync(
            BackupWriter writer,
            string database,
            DumpSnapshot snapshot,
            List<string> excluded,
            ArchiveInspector inspector,
            CancellationToken cancellationToken)
        {
            TimeSpan patience = options.LockTimeout ?? (options.Emergency ? s_emergencyLockTimeout : s_lockTimeout);
            List<string> arguments =
            [
                "--format=custom", "--compress=0", "--no-password", ClientEnvironment.DatabaseArgument(database),
                string.Create(CultureInfo.InvariantCulture, $"--lock-wait-timeout={(long)patience.TotalMilliseconds}"),
            ];
            if (snapshot.Id is not null)
            {
                arguments.Add($"--snapshot={snapshot.Id}");
            }

            arguments.AddRange(excluded.Select(static table => $"--exclude-table-data={table}"));
            PackLane lane = writer.OpenLane();
            await using (lane.ConfigureAwait(false))
            {
                ClientProcess process = ClientProcess.Start(programs.PathOf("pg_dump"), arguments, environment.Variables);
                await using (process.ConfigureAwait(false))
                {
                    process.Input.Close();
                    SmcException? invalid = null;
                    ManifestEntry entry = await StreamedFileWriter.WriteAsync(
                        process.Output,
                        DumpPaths.Dump(database),
                        lane,
                        (block, _) =>
                        {
                            // Why pg_dump failed says more than that its output was cut short; so the rest of that is read first.
                            invalid ??= Inspect(() => inspector.Add(block.Span));
                            Report(database, block.Length);
                            return ValueTask.CompletedTask;
                        },
                        cancellationToken).ConfigureAwait(false);
                    int exitCode = await process.WaitAsync(cancellationToken).ConfigureAwait(false);
                    if (exitCode != 0)
                    {
                        SmcException reason = ClientFailure.Translate(
                            "pg_dump", exitCode, process.Error, database, connector, SmcErrorCode.BackupInterrupted);
                        throw new DumpFailedException(reason, DumpFailedException.FindTable(process.Error));
                    }

                    invalid ??= Inspect(inspector.Complete);
                    if (invalid is not null)
                    {
                        throw new SmcException(
                            invalid.Code, $"{invalid.Message.TrimEnd('.')} (database '{database}').", invalid, "Run the backup again.", database);
                    }

                    foreach (string warning in process.Error.Split('\n').Where(static line => line.StartsWith("pg_dump: warning:", StringComparison.Ordinal)))
                    {
                        observer.Warning($"Database '{database}': {warning["pg_dump: warning:".Length..].Trim()}");
                    }

                    await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
                    return entry;
                }
            }
        }

        private static SmcException? Inspect(Action look)
        {
            try
            {
                look();
                return null;
            }
            catch (SmcException e)
            {
                return e;
            }
        }

        /// <summary>The tables of the snapshot with the rows of the dump. Each must be there, with as many rows as the server counted.</summary>
        private static List<LogicalTableDetails> Compare(
            string database, ArchiveInspector inspector, List<LogicalTableDetails> tables, List<string> excluded)
        {
            Dictionary<(string?, string), ArchiveEntry> dumped = inspector.Contents!.Entries
                .Where(static entry => entry.Kind == ArchiveKinds.TableData)
                .ToDictionary(static entry => (entry.Schema, entry.Tag));
            List<LogicalTableDetails> result = [];
            foreach (LogicalTableDetails table in tables)
            {
                bool isExcluded = excluded.Contains($"{Sql.Name(table.Schema)}.{Sql.Name(table.Name)}");
                long? rows = dumped.TryGetValue((table.Schema, table.Name), out ArchiveEntry? entry) ? inspector.RowsOf(entry) : null;
                if ((entry is null && !isExcluded) || (table.ServerRows is { } counted && rows is { } found && counted != found))
                {
                    throw new SmcException(
                        SmcErrorCode.VerificationFailed,
                        entry is null
                            ? $"The table '{table.Schema}.{table.Name}' of the database '{database}' is missing from its dump."
                            : FormattableString.Invariant($"The dump of '{table.Schema}.{table.Name}' in the database '{database}' has {rows} rows, and the server counts {table.ServerRows}."),
                        recommendation: "Run the backup again; if it stays, look for damage with pg_amcheck: an index may hide rows.",
                        target: database);
                }

                result.Add(table with { Rows = rows });
            }

            return result;
        }

        private static byte[] Serialize(List<LogicalTableDetails> tables)
        {
            using MemoryStream stream = new();
            foreach (LogicalTableDetails table in tables)
            {
                JsonSerializer.Serialize(stream, table, LogicalJson.Default.LogicalTableDetails);
                stream.WriteByte((byte)'\n');
            }

            return stream.ToArray();
        }

        private static async Task AddSmallAsync(BackupWriter writer, string path, byte[] content, CancellationToken cancellationToken)
        {
            PackLane lane = writer.OpenLane();
            await using (lane.ConfigureAwait(false))
            {
                using MemoryStream stream = new(content);
                ManifestEntry entry = await StreamedFileWriter
                    .WriteAsync(stream, path, lane, static (_, _) => ValueTask.CompletedTask, cancellationToken).ConfigureAwait(false);
                await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
                writer.Add(entry);
            }
        }

        private async Task<long?> SumSizesAsync(List<DatabaseRow> databases, CancellationToken cancellationToken)
        {
            try
            {
                NpgsqlConnection connection = await MaintenanceConnection.OpenAsync(connector, null, cancellationToken).ConfigureAwait(false);
                await using (connection.ConfigureAwait(false))
                {
                    NpgsqlCommand command = new("SELECT pg_catalog.sum(pg_catalog.pg_database_size(d))::pg_catalog.int8 FROM pg_catalog.unnest($1) d", connection);
                    await using (command.ConfigureAwait(false))
                    {
                        command.Parameters.Add(new NpgsqlParameter { Value = databases.Select(static database => database.Name).ToArray() });
                        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as long?;
                    }
                }
            }
            catch (PostgresException)
            {
                // Progress without a total; a damaged file or a missing privilege is told where it matters.
                return null;
            }
        }

        /// <summary>Reads each dump's contents back from the repository and compares them with what went in.</summary>
        private async Task VerifyStoredAsync(
            BackupHeader header, Dictionary<string, (ArchiveContents Contents, long Size)> written, CancellationToken cancellationToken)
        {
            try
            {
                BackupReader backup = await repository.OpenBackupAsync(Component.Database, header.Id, cancellationToken).ConfigureAwait(false);
                Manifest manifest = await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
                await backup.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
                Dictionary<string, ManifestEntry> entries = manifest.Entries.ToDictionary(static entry => entry.Path);
                foreach ((string path, (ArchiveContents contents, long size)) in written)
                {
                    ManifestEntry entry = entries[path];
                    ArchiveContents stored = await DumpReader.ReadContentsAsync(backup, entry, cancellationToken).ConfigureAwait(false);
                    if (entry.Size != size || stored.Entries.Count != contents.Entries.Count ||
                        !stored.Entries.Zip(contents.Entries).All(static pair => pair.First.DumpId == pair.Second.DumpId && pair.First.Tag == pair.Second.Tag))
                    {
                        throw new SmcException(
                            SmcErrorCode.ChecksumMismatch, $"The file '{path}' of the backup '{header.Id}' is not what was written.", target: header.Id);
                    }
                }
            }
            catch (Exception e) when (e is SmcException or OperationCanceledException)
            {
                // A backup that was not seen to be sound does not count: without its marker it is incomplete, and swept later.
                await repository.Store.DeleteAsync(RepositoryKeys.Complete(Component.Database, header.Id), CancellationToken.None).ConfigureAwait(false);
                throw;
            }
        }

        private void Fail(string database, SmcException e)
        {
            observer.Warning($"'{database}' is missing from the emergency backup: {e.Message}");
            lock (_lock)
            {
                _failures.Add(new LogicalFailure(database, e.Message));
                _firstFailure ??= database == "globals" ? null : e;
            }
        }

        private void Report(string database, int bytes)
        {
            long done = Interlocked.Add(ref _done, bytes);
            // A dump has no indexes and no dead rows, so it is shorter than the database; it may also be longer, where rows are compressed.
            observer.Progress(new OperationProgress(Activity, $"Database '{database}'", done, _total is { } total ? Math.Max(total, done) : null));
        }

        /// <summary>Whether the repository failed, so that there is no point in going on.</summary>
        private static bool IsStorage(SmcException e) => e.Code is SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied
            or SmcErrorCode.StorageFull or SmcErrorCode.ObjectExists or SmcErrorCode.ProgramNotFound;
    }
}
