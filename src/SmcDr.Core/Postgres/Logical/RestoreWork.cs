using System.Globalization;
using System.Text;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>The parts of restoring one database.</summary>
internal sealed class RestoreWork(
    LogicalRestorePlan plan,
    LogicalRestoreItem item,
    PostgresConnector connector,
    ClientEnvironment environment,
    IOperationObserver observer,
    string activity)
{
    private const int CountingConnections = 2;
    private TableIntegrity[] _tables = [];

    public LogicalRestorePlan Plan => plan;

    public LogicalRestoreItem Item => item;

    public PostgresConnector Connector => connector;

    public IOperationObserver Observer => observer;

    /// <summary>Whether the database beside was made by this run, so that it is this run's to drop.</summary>
    public bool HasCreated { get; private set; }

    public async Task<string> CreateAsync(DatabaseAdministration administration, string database, CancellationToken cancellationToken)
    {
        await administration.ClearLeftoverAsync(database, cancellationToken).ConfigureAwait(false);
        HasCreated = true;
        await administration
            .CreateAsync(database, item.Source, !plan.Options.NoOwner, !item.NoTablespaces, cancellationToken).ConfigureAwait(false);
        return $"The empty database '{database}' was made.";
    }

    /// <summary>Runs pg_restore.</summary>
    public async Task<string> RestoreAsync(string database, CancellationToken cancellationToken)
    {
        bool isParallel = plan.Options.Parallelism > 1;
        bool isPart = item.Mode == LogicalRestoreMode.Merge;
        List<string> arguments = ["--exit-on-error", "--no-password", ClientEnvironment.DatabaseArgument(database)];
        Add(!isParallel && item.Mode is LogicalRestoreMode.Fill or LogicalRestoreMode.Merge, "--single-transaction");
        Add(isPart && plan.Options.Clean, "--clean", "--if-exists");
        Add(plan.Options.NoOwner, "--no-owner", "--no-privileges");
        Add(item.NoTablespaces, "--no-tablespaces");
        using PrivateFile? list = item.Selection is null ? null : PrivateFile.Create(string.Concat(
            item.Selection.Select(static entry => string.Create(CultureInfo.InvariantCulture, $"{entry.DumpId};\n"))));
        Add(list is not null, $"--use-list={list?.Path}");
        if (isParallel)
        {
            using PrivateFile file = await ExtractAsync(cancellationToken).ConfigureAwait(false);
            Add(true, string.Create(CultureInfo.InvariantCulture, $"--jobs={plan.Options.Parallelism}"), file.Path);
            await RunAsync(database, arguments, isStreamed: false, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await RunAsync(database, arguments, isStreamed: true, cancellationToken).ConfigureAwait(false);
        }

        await AnalyzeAsync(database, cancellationToken).ConfigureAwait(false);
        return $"pg_restore {plan.Programs.Version} restored {DisplayText.Size(item.Dump.Size)} to '{database}'.";

        void Add(bool when, params string[] more) => arguments.AddRange(when ? more : []);
    }

    /// <summary>Counts the rows of every table, and compares them with what the backup holds.</summary>
    /// <param name="database">The database.</param>
    /// <param name="mustAgree">Whether a difference is a failure: nobody else writes to it yet.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<string> CompareAsync(string database, bool mustAgree, CancellationToken cancellationToken)
    {
        if (item.Tables is null)
        {
            return "The backup does not say how many rows there were.";
        }

        TableIntegrity[] result = new TableIntegrity[item.Tables.Count];
        Dictionary<(string, string), LogicalTableDetails> now;
        NpgsqlConnection connection = await connector.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            now = (await DatabaseCatalog.ReadTablesAsync(connection, cancellationToken).ConfigureAwait(false))
                .ToDictionary(static table => (table.Schema, table.Name));
        }

        int next = -1;
        await Task.WhenAll(Enumerable.Range(0, Math.Min(CountingConnections, result.Length)).Select(_ => CountAsync())).ConfigureAwait(false);
        _tables = result;
        string[] wrong = [.. result.Where(static table => table.Outcome == "Failed").Select(static table => string.Create(
            CultureInfo.InvariantCulture, $"{table.Schema}.{table.Table} has {table.Rows?.ToString(CultureInfo.InvariantCulture) ?? "no"} rows instead of {table.ExpectedRows}"))];
        if (wrong.Length > 0)
        {
            string text = $"{wrong.Length} tables of '{database}' differ from the backup: {string.Join("; ", wrong.Take(5))}.";
            if (mustAgree)
            {
                throw new SmcException(
                    SmcErrorCode.VerificationFailed,
                    text,
                    recommendation: "A trigger or a rule of the database may change rows as they come in; restore beside with -TargetDatabase (or --target-database) and look.",
                    target: database);
            }

            observer.Warning(text);
            return text;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{result.Length} tables have the {result.Sum(static table => table.Rows ?? 0)} rows of the backup.");

        async Task CountAsync()
        {
            NpgsqlConnection counting = await connector.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (counting.ConfigureAwait(false))
            {
                int index;
                while ((index = Interlocked.Increment(ref next)) < result.Length)
                {
                    LogicalTableDetails table = item.Tables[index];
                    LogicalTableDetails? found = now.GetValueOrDefault((table.Schema, table.Name));
                    long? rows = found is null
                        ? null
                        : await DatabaseCatalog.CountRowsAsync(counting, table.Schema, table.Name, cancellationToken).ConfigureAwait(false);
                    result[index] = new TableIntegrity
                    {
                        Schema = table.Schema,
                        Table = table.Name,
                        ExpectedRows = table.Rows,
                        Rows = rows,
                        Inserted = found?.Inserted,
                        Updated = found?.Updated,
                        Deleted = found?.Deleted,
                        Outcome = rows is not null && table.Rows is null ? "Skipped" : rows == table.Rows ? "Passed" : "Failed",
                    };
                }
            }
        }
    }

    public DatabaseRestoreResult Result(StepLog steps, string? previous, string? emergencyId) => new()
    {
        BackupId = plan.BackupId,
        Database = item.Source.Name,
        TargetDatabase = item.Target,
        Server = connector.Display,
        State = item.Tables is null ? "Unverified" : _tables.Any(static table => table.Outcome == "Failed") ? "Different" : "Verified",
        TableCount = _tables.Length,
        RowCount = _tables.Sum(static table => table.Rows ?? 0),
        SizeBytes = item.Dump.Size,
        RecoveredTime = item.Source.SnapshotTime,
        PreviousDatabase = previous,
        EmergencyBackupId = emergencyId,
        StartTime = steps.StartTime,
        Duration = DateTimeOffset.UtcNow - steps.StartTime,
        Steps = steps.Steps,
        Tables = _tables,
    };

    private async Task RunAsync(string database, List<string> arguments, bool isStreamed, CancellationToken cancellationToken)
    {
        ClientProcess process = ClientProcess.Start(plan.Programs.PathOf("pg_restore"), arguments, environment.Variables);
        await using (process.ConfigureAwait(false))
        {
            Task<string> output = ReadOutputAsync(process, cancellationToken);
            if (isStreamed)
            {
                await FeedAsync(process, cancellationToken).ConfigureAwait(false);
            }

            CloseInput(process);
            int exitCode = await process.WaitAsync(cancellationToken).ConfigureAwait(false);
            await output.ConfigureAwait(false);
            if (exitCode != 0)
            {
                throw ClientFailure.Translate("pg_restore", exitCode, process.Error, database, connector, SmcErrorCode.RecoveryFailed);
            }
        }
    }

    private async Task FeedAsync(ClientProcess process, CancellationToken cancellationToken)
    {
        long done = 0;
        // Damage of the backup is thrown through, and pg_restore is ended with it: it must not take a cut stream for the whole.
        await DumpReader.ReadAsync(
            plan.Backup,
            item.Dump,
            async (part, token) =>
            {
                try
                {
                    await process.Input.WriteAsync(part, token).ConfigureAwait(false);
                }
                catch (IOException)
                {
                    // It has read what it needs, or failed; its exit code says which.
                    return false;
                }

                done += part.Length;
                observer.Progress(new OperationProgress(activity, $"Restoring '{item.Target}'", done, item.Dump.Size));
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Brings the dump into a temporary file: several jobs of pg_restore need one in which they can go back.</summary>
    private async Task<PrivateFile> ExtractAsync(CancellationToken cancellationToken)
    {
        string directory = Path.GetTempPath();
        long available = new DriveInfo(directory).AvailableFreeSpace;
        if (available < item.Dump.Size)
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"A parallel restore needs {DisplayText.Size(item.Dump.Size)} in '{directory}' for the dump, and {DisplayText.Size(available)} are free.",
                recommendation: "Point the environment variable TMPDIR to a directory with more room, or restore without parallelism, which needs none.",
                target: directory);
        }

        PrivateFile file = PrivateFile.Create();
        try
        {
            long done = 0;
            await DumpReader.ReadAsync(
                plan.Backup,
                item.Dump,
                async (part, token) =>
                {
                    await file.Stream.WriteAsync(part, token).ConfigureAwait(false);
                    done += part.Length;
                    observer.Progress(new OperationProgress(activity, $"Fetching '{item.Source.Name}'", done, item.Dump.Size));
                    return true;
                },
                cancellationToken).ConfigureAwait(false);
            await file.Stream.FlushAsync(cancellationToken).ConfigureAwait(false);
            return file;
        }
        catch (IOException e)
        {
            file.Dispose();
            throw TemporaryFile.Failure(e);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A restored database has no statistics, and without them the first queries take plans of an empty one.</summary>
    private async Task AnalyzeAsync(string database, CancellationToken cancellationToken)
    {
        observer.Progress(new OperationProgress(activity, $"Statistics of '{database}'"));
        try
        {
            NpgsqlConnection connection = await connector.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                string tables = item.Selection is null ? "" : " " + string.Join(", ", item.Selection
                    .Where(static entry => entry.Kind == ArchiveKinds.Table).Select(static entry => $"{Sql.Name(entry.Schema!)}.{Sql.Name(entry.Tag)}"));
                if (tables != " ")
                {
                    await DatabaseCatalog.ExecuteAsync(connection, "ANALYZE" + tables, cancellationToken).ConfigureAwait(false);
                }
            }
        }
        catch (NpgsqlException e)
        {
            throw connector.Translate(e);
        }
    }

    private static void CloseInput(ClientProcess process)
    {
        try
        {
            process.Input.Close();
        }
        catch (IOException)
        {
            // What was still in the buffer is not wanted any more.
        }
    }

    private static async Task<string> ReadOutputAsync(ClientProcess process, CancellationToken cancellationToken)
    {
        using StreamReader reader = new(process.Output, Encoding.UTF8, leaveOpen: true);
        return await reader.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
    }
}
