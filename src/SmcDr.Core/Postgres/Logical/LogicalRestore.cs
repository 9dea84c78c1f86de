using System.Globalization;
using System.Text.Json;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>Restores databases from a logical backup with pg_restore, and counts afterwards what is there.</summary>
/// <remarks>
/// A whole database is always restored to a new one beside, counted, and given its name at the very end: until then nothing has changed,
/// and no application sees half of it. Parts come into an existing database in one transaction.
/// </remarks>
public static class LogicalRestore
{
    internal const string Activity = "Logical restore";
    private static readonly TimeSpan s_cleanUpTime = TimeSpan.FromSeconds(60);

    /// <summary>Checks what can be checked beforehand, and says what would be done.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.BackupUnsuitable"/>, <see cref="SmcErrorCode.TargetNotEmpty"/>, <see cref="SmcErrorCode.ArgumentInvalid"/> and others.
    /// </exception>
    public static async Task<LogicalRestorePlan> PlanAsync(
        PostgresConnector connector,
        BackupReader backup,
        LogicalRestoreOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(backup);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            return await PlanCoreAsync(connector, backup, options, observer, cancellationToken).ConfigureAwait(false);
        }
        catch (NpgsqlException e)
        {
            throw connector.Translate(e);
        }
    }

    /// <summary>Carries the plan out.</summary>
    /// <param name="plan">What <see cref="PlanAsync"/> gave.</param>
    /// <param name="connector">The same server.</param>
    /// <param name="observer">Is told decisions, warnings and progress.</param>
    /// <param name="cancellationToken">Stops the work; what was there before is there still.</param>
    /// <returns>A result for each database.</returns>
    public static async Task<IReadOnlyList<DatabaseRestoreResult>> RunAsync(
        LogicalRestorePlan plan, PostgresConnector connector, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(observer);
        List<DatabaseRestoreResult> results = [];
        try
        {
            using ClientEnvironment environment = await ClientEnvironment.CreateAsync(connector, cancellationToken).ConfigureAwait(false);
            if (plan.Options.Globals)
            {
                await GlobalsRestore.RunAsync(plan, connector, environment, observer, cancellationToken).ConfigureAwait(false);
            }

            foreach (LogicalRestoreItem item in plan.Items)
            {
                StepLog steps = new(Activity, observer);
                RestoreWork work = new(plan, item, connector, environment, observer, Activity);
                results.Add(await RunAsync(work, steps, cancellationToken).ConfigureAwait(false));
            }

            return results;
        }
        catch (NpgsqlException e)
        {
            throw connector.Translate(e);
        }
        catch (SmcException e) when (results.Count > 0)
        {
            throw new SmcException(
                e.Code, $"{e.Message} Restored before that: {string.Join(", ", results.Select(static result => result.TargetDatabase))}.", e, e.Recommendation, e.Target);
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    private static async Task<DatabaseRestoreResult> RunAsync(RestoreWork work, StepLog steps, CancellationToken cancellationToken)
    {
        LogicalRestoreItem item = work.Item;
        if (item.Mode is LogicalRestoreMode.Fill or LogicalRestoreMode.Merge)
        {
            await steps.RunAsync("Restore", () => work.RestoreAsync(item.Target, cancellationToken)).ConfigureAwait(false);
            await steps.RunAsync("Integrity report", () => work.CompareAsync(item.Target, mustAgree: false, cancellationToken)).ConfigureAwait(false);
            return work.Result(steps, previous: null, emergencyId: null);
        }

        DatabaseAdministration administration = await DatabaseAdministration
            .OpenAsync(work.Connector, item.Target, work.Observer, cancellationToken).ConfigureAwait(false);
        await using (administration.ConfigureAwait(false))
        {
            // The backup's time, so that a second run finds what an interrupted one left; and the present time, which nothing has yet.
            string beside = Sql.WithSuffix(item.Target, $"_restoring_{work.Plan.BackupId[..16]}");
            string old = Sql.WithSuffix(item.Target, $"_before_{Stamp()}");
            string? remaining = null;
            bool isClosed = false;
            try
            {
                await steps.RunAsync("Create", () => work.CreateAsync(administration, beside, cancellationToken)).ConfigureAwait(false);
                await steps.RunAsync("Restore", () => work.RestoreAsync(beside, cancellationToken)).ConfigureAwait(false);
                await steps.RunAsync("Integrity report", () => work.CompareAsync(beside, mustAgree: true, cancellationToken)).ConfigureAwait(false);
                await steps.RunAsync("Put in place", async () =>
                {
                    await administration
                        .ApplyPropertiesAsync(beside, item.Source, withOwner: !work.Plan.Options.NoOwner, cancellationToken).ConfigureAwait(false);
                    if (item.Mode == LogicalRestoreMode.Create)
                    {
                        await administration.RenameAsync(beside, item.Target, cancellationToken).ConfigureAwait(false);
                        return $"The database is called '{item.Target}'.";
                    }

                    isClosed = true;
                    int ended = await administration.CloseAsync(item.Target, cancellationToken).ConfigureAwait(false);
                    await administration.SwapAsync(item.Target, old, beside, cancellationToken).ConfigureAwait(false);
                    isClosed = false;
                    return string.Create(CultureInfo.InvariantCulture, $"{ended} sessions were ended; the new database is called '{item.Target}'.");
                }).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SmcException or OperationCanceledException or NpgsqlException)
            {
                await UndoAsync(work, beside, isClosed).ConfigureAwait(false);
                throw;
            }

            if (item.Mode == LogicalRestoreMode.Replace)
            {
                remaining = await DropOldAsync(administration, steps, old, work.Observer, cancellationToken).ConfigureAwait(false);
            }

            return work.Result(steps, remaining, emergencyId: null);
        }
    }

    /// <summary>The present millisecond in UTC: of a small database, two can be put in place within one second.</summary>
    internal static string Stamp() => DateTimeOffset.UtcNow.ToString("yyyyMMdd'T'HHmmssfff'Z'", CultureInfo.InvariantCulture);

    private static async Task<string?> DropOldAsync(
        DatabaseAdministration administration, StepLog steps, string old, IOperationObserver observer, CancellationToken cancellationToken)
    {
        try
        {
            await steps.RunAsync("Drop the old database", async () =>
            {
                await administration.DropAsync(old, cancellationToken).ConfigureAwait(false);
                return "The earlier database is dropped.";
            }).ConfigureAwait(false);
            return null;
        }
        catch (SmcException e)
        {
            // A replication slot or a subscription holds it; what was asked for is done.
            steps.Soften();
            observer.Warning($"The earlier database could not be dropped and is called '{old}': {e.Message}");
            return old;
        }
    }

    /// <summary>Removes what was made beside, and lets sessions in again. What led here is thrown and matters more.</summary>
    private static async Task UndoAsync(RestoreWork work, string beside, bool reopen)
    {
        using CancellationTokenSource limit = new(s_cleanUpTime);
        try
        {
            // The connection at hand may be what broke.
            DatabaseAdministration administration = await DatabaseAdministration
                .OpenAsync(work.Connector, beside, work.Observer, limit.Token).ConfigureAwait(false);
            await using (administration.ConfigureAwait(false))
            {
                if (reopen && await administration.ExistsAsync(work.Item.Target, limit.Token).ConfigureAwait(false))
                {
                    await administration.OpenForConnectionsAsync(work.Item.Target, limit.Token).ConfigureAwait(false);
                }

                if (work.HasCreated)
                {
                    await administration.DropAsync(beside, limit.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or OperationCanceledException)
        {
            work.Observer.Warning(
                $"The database '{beside}', which is half restored, could not be dropped; the next restore of the same backup drops it." +
                (reopen ? $" 'ALTER DATABASE {Sql.Name(work.Item.Target)} ALLOW_CONNECTIONS true' lets sessions into '{work.Item.Target}' again." : ""));
        }
    }

    private static async Task<LogicalRestorePlan> PlanCoreAsync(
        PostgresConnector connector,
        BackupReader backup,
        LogicalRestoreOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        LogicalBackupDetails details = backup.Header.Logical ?? throw new SmcException(
            SmcErrorCode.BackupUnsuitable, $"The backup '{backup.Header.Id}' is no logical one.", target: backup.Header.Id);
        if (options.Parallelism is < 1 or > 64)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "The parallelism of a restore is a number from 1 to 64.");
        }

        List<LogicalDatabaseDetails> sources = Choose(backup.Header.Id, details, options);
        foreach (LogicalFailure failure in details.Failures)
        {
            observer.Warning($"'{failure.Database}' is missing from the backup '{backup.Header.Id}': {failure.Reason}");
        }

        ClientPrograms programs = await ClientPrograms.FindAsync(
            options.BinDirectory, MajorOf(details.ProgramVersion), $"The backup '{backup.Header.Id}'", cancellationToken).ConfigureAwait(false);
        Manifest manifest = await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        await backup.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
        Dictionary<string, ManifestEntry> entries = manifest.Entries.ToDictionary(static entry => entry.Path, StringComparer.Ordinal);
        List<LogicalRestoreItem> items = [];
        DatabaseAdministration administration = await DatabaseAdministration.OpenAsync(connector, null, observer, cancellationToken).ConfigureAwait(false);
        await using (administration.ConfigureAwait(false))
        {
            ServerOverview server = await ServerOverview.ReadAsync(connector, administration.Connection, cancellationToken).ConfigureAwait(false);
            if (server.Major < details.ServerVersionNumber / 10000)
            {
                observer.Warning($"The backup is of PostgreSQL {details.ServerVersion}, and {connector.Display} is {server.Version}: what the older version does not know ends the restore.");
            }

            foreach (LogicalDatabaseDetails source in sources)
            {
                items.Add(await PlanItemAsync(connector, administration, backup, source, entries, options, observer, cancellationToken).ConfigureAwait(false));
            }
        }

        if (options.Globals && (details.Globals is null || !entries.ContainsKey(details.Globals)))
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable, $"The backup '{backup.Header.Id}' holds no roles and tablespaces.", target: backup.Header.Id);
        }

        return new LogicalRestorePlan
        {
            BackupId = backup.Header.Id,
            Server = connector.Display,
            Items = items,
            Options = options,
            Backup = backup,
            Programs = programs,
            Entries = entries,
        };
    }

    private static List<LogicalDatabaseDetails> Choose(string id, LogicalBackupDetails details, LogicalRestoreOptions options)
    {
        Dictionary<string, LogicalDatabaseDetails> known = details.Databases.ToDictionary(static database => database.Name, StringComparer.Ordinal);
        List<LogicalDatabaseDetails> sources = options.Databases.Count == 0
            ? [.. details.Databases]
            : [.. options.Databases.Distinct(StringComparer.Ordinal).Select(name => known.GetValueOrDefault(name) ?? throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The backup '{id}' holds no database '{name}'; it holds: {string.Join(", ", known.Keys)}.",
                target: name))];
        bool wantsOne = options.TargetDatabase is not null || options.Tables.Count > 0 || options.Schemas.Count > 0;
        return wantsOne && sources.Count != 1
            ? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The backup '{id}' holds {sources.Count} databases, and a target, tables or schemas are of one: {string.Join(", ", known.Keys)}.",
                recommendation: "Choose one by -Database (or --database).")
            : sources;
    }

    private static async Task<LogicalRestoreItem> PlanItemAsync(
        PostgresConnector connector,
        DatabaseAdministration administration,
        BackupReader backup,
        LogicalDatabaseDetails source,
        Dictionary<string, ManifestEntry> entries,
        LogicalRestoreOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ManifestEntry dump = Entry(source.Path);
        ArchiveContents contents = await DumpReader.ReadContentsAsync(backup, dump, cancellationToken).ConfigureAwait(false);
        string target = options.TargetDatabase ?? source.Name;
        bool hasChoice = options.Tables.Count > 0 || options.Schemas.Count > 0;
        LogicalRestoreMode mode = LogicalRestoreMode.Create;
        HashSet<string> existingSchemas = new(StringComparer.Ordinal) { "public" };
        HashSet<string> existingRelations = [];
        if (await administration.ExistsAsync(target, cancellationToken).ConfigureAwait(false))
        {
            NpgsqlConnection connection = await connector.WithDatabase(target).OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                mode = hasChoice ? LogicalRestoreMode.Merge
                    : await DatabaseCatalog.IsEmptyAsync(connection, cancellationToken).ConfigureAwait(false) ? LogicalRestoreMode.Fill
                    : LogicalRestoreMode.Replace;
                existingSchemas = await DatabaseCatalog
                    .ReadNamesAsync(connection, "SELECT nspname::pg_catalog.text FROM pg_catalog.pg_namespace", cancellationToken).ConfigureAwait(false);
                existingRelations = await DatabaseCatalog.ReadNamesAsync(
                    connection,
                    "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
                    cancellationToken).ConfigureAwait(false);
            }
        }

        if (mode == LogicalRestoreMode.Replace && !options.Clean)
        {
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty,
                $"The database '{target}' at {connector.Display} is not empty.",
                recommendation: "Add -Clean (or --clean) to replace it, or restore beside it with -TargetDatabase (or --target-database).",
                target: target);
        }

        List<ArchiveEntry>? selection = hasChoice ? RestoreSelection.Choose(contents, options.Tables, options.Schemas, existingSchemas) : null;
        if (mode == LogicalRestoreMode.Merge && !options.Clean &&
            selection!.FirstOrDefault(entry => ArchiveKinds.Relations.Contains(entry.Kind) && existingRelations.Contains($"{entry.Schema}.{entry.Tag}")) is { } there)
        {
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty,
                $"The {there.Kind.ToLowerInvariant()} '{there.Schema}.{there.Tag}' is in the database '{target}' already.",
                recommendation: "Add -Clean (or --clean) to replace it, or restore beside it with -TargetDatabase (or --target-database).",
                target: there.Tag);
        }

        if (mode == LogicalRestoreMode.Merge && options.Parallelism > 1)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "Parts of a database are restored to an existing one in one transaction, which cannot be parallel.",
                recommendation: "Leave the parallelism out, or restore to a new database with -TargetDatabase (or --target-database).");
        }

        IReadOnlyList<ArchiveEntry> wanted = selection ?? contents.Entries;
        bool noTablespaces = await CheckServerAsync(connector, administration.Connection, source, wanted, options, observer, cancellationToken)
            .ConfigureAwait(false);
        foreach (string table in source.ExcludedTables)
        {
            observer.Warning($"The rows of {table} could not be read when the backup was taken; the table will be empty.");
        }

        return new LogicalRestoreItem
        {
            Source = source,
            Target = target,
            Mode = mode,
            Dump = dump,
            Selection = selection,
            Tables = await ReadTablesAsync().ConfigureAwait(false),
            NoTablespaces = noTablespaces,
        };

        ManifestEntry Entry(string path) => entries.GetValueOrDefault(path) ?? throw new SmcException(
            SmcErrorCode.ManifestInvalid, $"The backup '{backup.Header.Id}' has no file '{path}', which its header names.", target: backup.Header.Id);

        async Task<IReadOnlyList<LogicalTableDetails>?> ReadTablesAsync()
        {
            if (source.TablesPath is null)
            {
                return null;
            }

            byte[] content = await DumpReader.ReadAllAsync(backup, Entry(source.TablesPath), cancellationToken).ConfigureAwait(false);
            List<LogicalTableDetails> tables = [];
            foreach (Range line in content.AsSpan().Split((byte)'\n'))
            {
                ReadOnlySpan<byte> text = content.AsSpan()[line];
                if (!text.IsEmpty)
                {
                    tables.Add(JsonSerializer.Deserialize(text, LogicalJson.Default.LogicalTableDetails)!);
                }
            }

            HashSet<(string?, string)>? chosen = selection?
                .Where(static entry => entry.Kind == ArchiveKinds.Table)
                .Select(static entry => (entry.Schema, entry.Tag)).ToHashSet();
            return [.. tables.Where(table => chosen is null || chosen.Contains((table.Schema, table.Name)))];
        }
    }

    /// <summary>Looks for what the dump needs of the server. Returns whether tablespaces have to be left out.</summary>
    private static async Task<bool> CheckServerAsync(
        PostgresConnector connector,
        NpgsqlConnection connection,
        LogicalDatabaseDetails source,
        IReadOnlyList<ArchiveEntry> entries,
        LogicalRestoreOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        HashSet<string> roles = await DatabaseCatalog
            .ReadNamesAsync(connection, "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles", cancellationToken).ConfigureAwait(false);
        string[] missing = [.. entries.Select(static entry => entry.Owner).Append(source.Owner)
            .Concat(source.Grants?.Select(static grant => grant.Role) ?? [])
            .OfType<string>().Distinct(StringComparer.Ordinal).Where(role => !roles.Contains(role)).Order(StringComparer.Ordinal)];
        if (missing.Length > 0 && !options.NoOwner && !options.Globals)
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The database '{source.Name}' needs roles that {connector.Display} does not have: {string.Join(", ", missing)}.",
                recommendation: "Restore the roles first with -Globals (or --globals), or let everything belong to the user that restores with -NoOwner (or --no-owner).",
                target: source.Name);
        }

        HashSet<string> extensions = await DatabaseCatalog
            .ReadNamesAsync(connection, "SELECT name::pg_catalog.text FROM pg_catalog.pg_available_extensions", cancellationToken).ConfigureAwait(false);
        string[] unavailable = [.. entries.Where(static entry => entry.Kind == ArchiveKinds.Extension)
            .Select(static entry => entry.Tag).Where(name => !extensions.Contains(name))];
        if (unavailable.Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"The database '{source.Name}' uses extensions that are not installed at {connector.Display}: {string.Join(", ", unavailable)}.",
                recommendation: "Install the packages of these extensions on the server's host and run the command again.",
                target: source.Name);
        }

        HashSet<string> tablespaces = await DatabaseCatalog
            .ReadNamesAsync(connection, "SELECT spcname::pg_catalog.text FROM pg_catalog.pg_tablespace", cancellationToken).ConfigureAwait(false);
        string[] absent = [.. entries.Select(static entry => entry.Tablespace).Append(source.Tablespace)
            .OfType<string>().Distinct(StringComparer.Ordinal).Where(name => !tablespaces.Contains(name))];
        if (absent.Length > 0)
        {
            observer.Warning($"{connector.Display} has no tablespaces {string.Join(", ", absent)}; what was in them goes to the default one.");
        }

        return absent.Length > 0;
    }

    private static int MajorOf(string version) =>
        int.Parse(string.Concat(version.TakeWhile(char.IsAsciiDigit)), CultureInfo.InvariantCulture);
}
