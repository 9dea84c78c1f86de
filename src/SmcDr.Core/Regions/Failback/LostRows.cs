using System.Globalization;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Searching;
using SmcDr.Core.Recovery;
using SmcDr.Core.Regions.Failover;

namespace SmcDr.Core.Regions.Failback;

/// <summary>
/// Exports the rows that a former primary has and the one that leads never saw: of each table a file as COPY reads it, with the rows that a lost transaction
/// inserted or updated, as they were at last.
/// </summary>
/// <remarks>
/// A row tells by its <c>xmin</c> which transaction has written it, and the WAL tells which transactions are lost and into which blocks they wrote. So only these
/// blocks are read, and exactly those rows are exported. Ids of transactions come round after four billion: a row of the same id from the round before, in one of
/// those blocks, would be exported as well.
/// </remarks>
internal sealed class LostRows
{
    /// <summary>The list of tables, one a line, as JSON.</summary>
    public const string ListName = "rows.jsonl";

    /// <summary>The folder of the files.</summary>
    public const string FolderName = "rows";

    // So many ids are sent to the server with each question, as its text.
    private const int MostXids = 1_000_000;

    // With more of them a table is read in one stretch, and the server told them once.
    private const int ManyXids = 10_000;
    private const string Activity = "Export lost rows";
    private readonly Dictionary<RelationFile, LostTable> _tables = [];
    private readonly List<LostTableRows> _lines = [];
    private readonly List<string> _problems = [];
    private readonly HashSet<uint> _lost = [];
    private readonly long? _mostBytes;

    // Transactions of files that are gone, in the present database.
    private LostTable? _anew;

    private LostRows(long? mostBytes) => _mostBytes = mostBytes;

    /// <summary>How many rows were exported.</summary>
    public long Count { get; private set; }

    /// <summary>Of how many tables.</summary>
    public int Files { get; private set; }

    /// <summary>How many rows were deleted by lost transactions, which nothing can export.</summary>
    public long Deleted { get; private set; }

    /// <summary>Why rows that are there were not exported, each a sentence; none where all were.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Reads in the WAL that was kept which transactions are lost, and where they wrote.</summary>
    /// <param name="dataDirectory">The data directory of the former primary.</param>
    /// <param name="walDirectory">Where its WAL is kept.</param>
    /// <param name="lineage">Its timelines, newest first.</param>
    /// <param name="left">Where its history was left.</param>
    /// <param name="mostBytes">How many bytes the files may take at most; null = half of what is free on their disk.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<LostRows> FindAsync(
        string dataDirectory, string walDirectory, IReadOnlyList<uint> lineage, Lsn left, long? mostBytes, CancellationToken cancellationToken)
    {
        LostRows rows = new(mostBytes);
        TransactionWatcher watcher = new(1, transaction =>
        {
            if (transaction.EndLsn > left)
            {
                rows.Add(transaction);
            }
        }) { TellsAll = true, TellsBlocks = true };
        await LostWal.ReadAsync(dataDirectory, walDirectory, lineage, left, watcher, null, cancellationToken).ConfigureAwait(false);
        return rows;
    }

    /// <summary>Whether no rows were written or deleted.</summary>
    public bool IsEmpty => _tables.Count == 0;

    /// <summary>Exports the rows.</summary>
    /// <param name="instance">The former primary.</param>
    /// <param name="server">Whose account the files are given to.</param>
    /// <param name="directory">Where to: the list, and the folder of the files. What an earlier attempt has left there is replaced.</param>
    /// <param name="observer">Is told how far it is.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task ExportAsync(
        FormerInstance instance, HostServer server, string directory, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(directory, FolderName);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        server.CreateOwnedDirectory(folder);
        // The other half is for what comes next.
        long room = _mostBytes ?? (FileSystems.Available(directory) / 2);
        Dictionary<uint, string> databases = await ReadDatabasesAsync(instance.Connector, cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (IGrouping<uint, LostTable> group in _tables.Values.GroupBy(static table => table.File.Database).OrderBy(static group => group.Key))
            {
                if (databases.GetValueOrDefault(group.Key) is not { } database)
                {
                    _lines.AddRange(group.Select(table => Line(table, null, null, null) with { Problem = Missing(table, "its database was dropped") }));
                    continue;
                }

                observer.Progress(new OperationProgress(Activity, database));
                room = await ExportAsync(instance.Connector.WithDatabase(database), database, [.. group], server, folder, room, observer, cancellationToken)
                    .ConfigureAwait(false);
            }
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
        }

        Deleted = _lines.Sum(static line => line.DeletedRows);
        await WriteListAsync(server, directory, cancellationToken).ConfigureAwait(false);
        Posix.SyncDirectory(folder);
        Posix.SyncDirectory(directory);
    }

    private void Add(FoundTransaction transaction)
    {
        _lost.Add(transaction.Xid);
        _lost.UnionWith(transaction.Subtransactions);
        foreach (FoundRelation relation in transaction.Relations)
        {
            if (relation.File.Number == 0 || relation.File.IsBootstrapCatalog || relation.Row?.Kind is 'i' or 'I' or 't' or 'S' ||
                relation.Rows is { Inserted: 0, Updated: 0, Deleted: 0 })
            {
                continue;
            }

            if (!_tables.TryGetValue(relation.File, out LostTable? table))
            {
                _tables[relation.File] = table = new LostTable(relation.File);
            }

            table.Oid ??= relation.Oid;
            table.Rows.Add(relation.Rows);
            table.Xids.Add(transaction.Xid);
            table.Xids.UnionWith(transaction.Subtransactions);
            if (transaction.IsPartlySeen)
            {
                table.Blocks.AddAll();
            }
            else if (relation.Rows.Blocks is { } blocks)
            {
                table.Blocks.Add(blocks);
            }
        }
    }

    private async Task<long> ExportAsync(
        PostgresConnector connector,
        string database,
        IReadOnlyList<LostTable> tables,
        HostServer server,
        string folder,
        long room,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                // As pg_dump has them: what is written can be read whatever the database is configured to.
                await ServerExecuteAsync(
                    connection, "SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3", cancellationToken).ConfigureAwait(false);
                Dictionary<uint, (TableName Name, LostTable Table)> found = [];
                LostTable anew = _anew = new LostTable(tables[0].File with { Number = 0 });
                foreach (LostTable table in tables)
                {
                    TableName? name = (await FindAsync(
                        connection,
                        "c.oid = pg_catalog.pg_filenode_relation($1, $2)",
                        [table.File.Tablespace, table.File.Number],
                        cancellationToken).ConfigureAwait(false)).FirstOrDefault();
                    if (name is null)
                    {
                        _lines.Add(Line(table, database, null, null) with { Problem = Missing(table, "it was emptied, dropped or written anew") });
                        anew.Xids.UnionWith(table.Blocks.Ranges.Count > 0 ? table.Xids : []);
                    }
                    else if (name.IsOrdinary)
                    {
                        found[name.Oid] = (name, table);
                    }
                }

                // A table that was written anew, as VACUUM FULL does, has another file, of which the WAL tells pages and no rows. Its row of pg_class was changed
                // with that.
                anew.Blocks.AddAll();
                foreach (TableName name in anew.Xids.Count == 0 || _lost.Count > MostXids ? [] : await FindAsync(
                    connection, $"c.xmin OPERATOR(pg_catalog.=) ANY ({TableName.Array(_lost)})", [], cancellationToken).ConfigureAwait(false))
                {
                    if (name.IsOrdinary && !found.TryAdd(name.Oid, (name, anew)))
                    {
                        found[name.Oid].Table.Add(anew);
                    }
                }

                foreach ((TableName name, LostTable table) in found.Values.OrderBy(static one => one.Name.Oid))
                {
                    observer.Progress(new OperationProgress(Activity, $"{database}: {name.Display}"));
                    room = await ExportAsync(connection, database, name, table, server, folder, room, cancellationToken).ConfigureAwait(false);
                }

                return room;
            }
            catch (NpgsqlException e)
            {
                throw connector.Translate(e);
            }
        }
    }

    private async Task<long> ExportAsync(
        NpgsqlConnection connection,
        string database,
        TableName name,
        LostTable table,
        HostServer server,
        string folder,
        long room,
        CancellationToken cancellationToken)
    {
        LostTableRows line = Line(table, database, name.Display, name.Oid);
        if (table.Blocks.Ranges.Count == 0)
        {
            _lines.Add(line);
            return room;
        }

        if (name.Columns.Count == 0 || _lost.Count > MostXids)
        {
            _lines.Add(name.Columns.Count == 0 ? line : Fail(line, string.Create(
                CultureInfo.InvariantCulture, $"More than {MostXids} transactions were lost: the rows of '{name.Display}' are not exported.")));
            return room;
        }

        string databaseFolder = Path.Combine(folder, FileName(database));
        server.CreateOwnedDirectory(databaseFolder);
        string path = Path.Combine(databaseFolder, FileName(name.Display) + ".csv");
        if (File.Exists(path))
        {
            // Another name that is the same as a file's.
            path = Path.Combine(databaseFolder, string.Create(CultureInfo.InvariantCulture, $"{FileName(name.Display)}.{name.Oid}.csv"));
        }

        long left = room;
        bool isWhole = true;
        long rows;
        CsvFile file = CsvFile.Create(path);
        await using (file.ConfigureAwait(false))
        {
            IReadOnlyList<(uint First, uint Last)> ranges = table.Blocks.Ranges;
            foreach ((uint first, uint last) in table.Xids.Count > ManyXids && ranges.Count > 0 ? [(ranges[0].First, ranges[^1].Last)] : ranges)
            {
                using TextReader text = await connection.BeginTextExportAsync(
                    $"COPY ({name.Select(first, last, table.Xids)}) TO STDOUT (FORMAT csv{(file.Lines == 0 ? ", HEADER" : "")})", cancellationToken)
                    .ConfigureAwait(false);
                // The bytes as the server sends them, in UTF-8, and not through characters.
                if (await file.AppendAsync(((StreamReader)text).BaseStream, left, cancellationToken).ConfigureAwait(false) is not { } written)
                {
                    isWhole = false;
                    break;
                }

                left -= written;
            }

            file.Flush();
            rows = file.Lines - 1;
        }

        if (!isWhole || rows <= 0)
        {
            File.Delete(path);
            if (isWhole && ReferenceEquals(table, _anew))
            {
                // It was looked into because it may have been written anew, and has nothing of them.
                return room;
            }

            _lines.Add(isWhole ? line : Fail(
                line,
                $"The rows of '{name.Display}' in the database '{database}' take more than {DisplayText.Size(room)}, which is what may be used of the disk: " +
                    "they are not exported."));
            return room;
        }

        server.GiveToAccount(path);
        Posix.SyncDirectory(databaseFolder);
        Files++;
        Count += rows;
        _lines.Add(line with { File = Path.GetRelativePath(Path.GetDirectoryName(folder)!, path), ExportedRows = rows });
        return left;
    }

    private LostTableRows Fail(LostTableRows line, string problem)
    {
        _problems.Add(problem);
        return line with { Problem = problem };
    }

    private async Task WriteListAsync(HostServer server, string directory, CancellationToken cancellationToken)
    {
        string path = Path.Combine(directory, ListName);
        FileStream file = new(path, FileMode.Create, FileAccess.Write);
        await using (file.ConfigureAwait(false))
        {
            foreach (LostTableRows line in _lines)
            {
                await JsonSerializer.SerializeAsync(file, line, RegionFailbackJson.Default.LostTableRows, cancellationToken).ConfigureAwait(false);
                file.WriteByte((byte)'\n');
            }

            file.Flush(flushToDisk: true);
        }

        server.GiveToAccount(path);
    }

    private static LostTableRows Line(LostTable table, string? database, string? name, uint? oid) => new()
    {
        Database = database,
        DatabaseOid = table.File.Database,
        Table = name,
        TableOid = oid ?? table.Oid,
        InsertedRows = table.Rows.Inserted,
        UpdatedRows = table.Rows.Updated,
        DeletedRows = table.Rows.Deleted,
    };

    /// <summary>What was dropped or emptied has taken its rows along: the former primary itself had lost them. What was written anew has them in its new file.</summary>
    private static string? Missing(LostTable table, string reason) => table.Rows is { Inserted: <= 0, Updated: 0 }
        ? null
        : string.Create(
            CultureInfo.InvariantCulture,
            $"Rows went to the file {table.File.Number} of the database {table.File.Database}, which the former primary has no more itself: {reason}.");

    private static async Task<Dictionary<uint, string>> ReadDatabasesAsync(PostgresConnector connector, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            Dictionary<uint, string> databases = [];
            NpgsqlCommand command = new("SELECT oid, datname::text FROM pg_catalog.pg_database WHERE datallowconn", connection);
            await using (command.ConfigureAwait(false))
            {
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                    {
                        databases[reader.GetFieldValue<uint>(0)] = reader.GetString(1);
                    }
                }
            }

            return databases;
        }
    }

    /// <summary>The relations for which a condition holds.</summary>
    private static async Task<List<TableName>> FindAsync(
        NpgsqlConnection connection, string condition, IReadOnlyList<uint> parameters, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(
            $"""
            SELECT c.oid, n.nspname::text, c.relname::text,
                   c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast'),
                   ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
            FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE {condition} ORDER BY c.oid
            """,
            connection);
        foreach (uint parameter in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = parameter, NpgsqlDbType = NpgsqlDbType.Oid });
        }

        List<TableName> found = [];
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    found.Add(new TableName(
                        reader.GetFieldValue<uint>(0), reader.GetString(1), reader.GetString(2), reader.GetBoolean(3), reader.GetFieldValue<string[]>(4)));
                }
            }
        }

        return found;
    }

    private static async Task ServerExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(sql, connection);
        await using (command.ConfigureAwait(false))
        {
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static string FileName(string name)
    {
        string safe = string.Concat(name.Select(static c => c is '/' or '\\' || char.IsControl(c) ? '_' : c));
        return safe is "." or ".." ? "_" : safe;
    }

    private sealed record TableName(uint Oid, string Schema, string Name, bool IsOrdinary, IReadOnlyList<string> Columns)
    {
        public string Display => $"{Schema}.{Name}";

        /// <summary>The question for the rows of transactions in a range of blocks, its last one included.</summary>
        public string Select(uint first, uint last, IEnumerable<uint> xids)
        {
            string end = last == uint.MaxValue ? "" : string.Create(CultureInfo.InvariantCulture, $" AND ctid < '({last + 1},0)'::pg_catalog.tid");
            string begin = first == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" AND ctid >= '({first},0)'::pg_catalog.tid");
            return $"SELECT {string.Join(", ", Columns.Select(Sql.Name))} FROM ONLY {Sql.Name(Schema)}.{Sql.Name(Name)} " +
                $"WHERE xmin OPERATOR(pg_catalog.=) ANY ({Array(xids)}){begin}{end}";
        }

        public static string Array(IEnumerable<uint> xids) =>
            $"'{{{string.Join(',', xids.Order().Select(static xid => xid.ToString(CultureInfo.InvariantCulture)))}}}'::pg_catalog.xid[]";
    }
}
