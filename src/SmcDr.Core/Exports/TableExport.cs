using System.Runtime.CompilerServices;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Exports;

/// <summary>Writes tables of a side instance to files.</summary>
public static class TableExport
{
    private const string Activity = "Export tables";
    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Recovers the cluster to a side instance, exports the tables, and removes the instance.</summary>
    /// <param name="side">The instance.</param>
    /// <param name="options">What is exported.</param>
    /// <param name="observer">Is told decisions and progress.</param>
    /// <param name="cancellationToken">Stops the work and leaves neither the instance nor half a file.</param>
    /// <exception cref="SmcException">Among others <see cref="SmcErrorCode.ArgumentInvalid"/>: there was no such table then.</exception>
    public static async IAsyncEnumerable<TableExportResult> RunAsync(
        SideInstanceOptions side,
        TableExportOptions options,
        IOperationObserver observer,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(side);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        options.Validate();
        SideInstance instance = await SideInstance.StartAsync(side, observer, cancellationToken).ConfigureAwait(false);
        await using (instance.ConfigureAwait(false))
        {
            PostgresConnector connector = instance.Connector.WithDatabase(options.Database);
            NpgsqlConnection connection = await OpenAsync(connector, options, cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                // All of them are found, and their files are free, before the first is written.
                List<Table> tables = [];
                foreach (string name in options.Tables)
                {
                    Table table = await FindAsync(connection, name, options, cancellationToken).ConfigureAwait(false);
                    if (tables.Any(other => other.Path == table.Path))
                    {
                        throw new SmcException(
                            SmcErrorCode.ArgumentInvalid, $"Two of the tables would go to the file '{table.Path}'.", target: table.Path);
                    }

                    options.RefuseExisting(table.Path);
                    tables.Add(table);
                }

                if (options.OutDirectory is { } directory)
                {
                    Directory.CreateDirectory(directory);
                }

                foreach (Table table in tables)
                {
                    observer.Progress(new OperationProgress(Activity, $"{table.Schema}.{table.Name}"));
                    long rows = await ExportAsync(instance, connection, table, options, cancellationToken).ConfigureAwait(false);
                    yield return new TableExportResult
                    {
                        Database = options.Database,
                        Schema = table.Schema,
                        Table = table.Name,
                        RowCount = rows,
                        Path = table.Path,
                        Format = options.Format.ToString(),
                        SizeBytes = new FileInfo(table.Path).Length,
                        BackupId = instance.Recovery.BackupId,
                        TargetKind = instance.Recovery.TargetKind,
                        Target = instance.Recovery.Target,
                        RecoveredTime = instance.Recovery.RecoveredTime,
                        RecoveredLsn = instance.Recovery.RecoveredLsn,
                    };
                }

                observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
            }
        }
    }

    private static async Task<NpgsqlConnection> OpenAsync(PostgresConnector connector, TableExportOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName })
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"There was no database '{options.Database}' at that instant.", e, target: options.Database);
        }
    }

    /// <summary>Finds a table by a name as people write it. Compared as a whole, so that names with dots in them need no quotes.</summary>
    private static async Task<Table> FindAsync(
        NpgsqlConnection connection, string name, TableExportOptions options, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = connection.CreateCommand();
        command.CommandText =
            """
            SELECT n.nspname::text, c.relname::text, c.relkind::text,
                   EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) AS p JOIN pg_catalog.pg_class AS l ON l.oid = p.relid WHERE l.relkind = 'f')
            FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f')
              AND (n.nspname || '.' || c.relname = $1 OR (c.relname = $1 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')))
            ORDER BY 1, 2
            """;
        command.Parameters.Add(new NpgsqlParameter { Value = name });
        List<(string Schema, string Name, string Kind, bool HasForeign)> found = [];
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                found.Add((reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetBoolean(3)));
            }
        }

        if (found.Count != 1)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                found.Count == 0
                    ? $"There was no table '{name}' in the database '{options.Database}' at that instant."
                    : $"'{name}' is the name of {found.Count} tables: {string.Join(", ", found.Select(static t => $"{t.Schema}.{t.Name}"))}.",
                recommendation: "Name the table as schema.name, as it was called at that instant.",
                target: name);
        }

        (string schema, string relation, string kind, bool foreign) = found[0];
        if (kind is "v" or "f" || foreign)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                kind == "v"
                    ? $"'{schema}.{relation}' is a view, which has no rows of its own."
                    : $"'{schema}.{relation}' is or holds a foreign table: its rows are on another server, as they are now.",
                recommendation: "Export the tables themselves.",
                target: name);
        }

        string path = options.OutFile ?? Path.Combine(options.OutDirectory!, FileName($"{schema}.{relation}") + Extension(options.Format));
        return new Table(schema, relation, Path.GetFullPath(path));
    }

    private static string FileName(string name) =>
        string.Concat(name.Select(static c => c is '/' or '\\' or ':' or '*' or '?' or '"' or '<' or '>' or '|' || char.IsControl(c) ? '_' : c));

    private static string Extension(TableExportFormat format) => format switch
    {
        TableExportFormat.Csv => ".csv",
        TableExportFormat.Text => ".txt",
        TableExportFormat.Binary => ".pgcopy",
        _ => ".dump",
    };

    private static async Task<long> ExportAsync(
        SideInstance instance, NpgsqlConnection connection, Table table, TableExportOptions options, CancellationToken cancellationToken)
    {
        string temporary = table.Path + ".smcdr-tmp";
        try
        {
            File.Delete(temporary);
            FileStreamOptions file = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write, Options = FileOptions.Asynchronous };
            if (!OperatingSystem.IsWindows())
            {
                file.UnixCreateMode = PrivateFile;
            }

            FileStream stream = new(temporary, file);
            await using (stream.ConfigureAwait(false))
            {
                if (options.Format == TableExportFormat.Dump)
                {
                    await DumpAsync(instance, connection, table, options, temporary, cancellationToken).ConfigureAwait(false);
                }
                else
                {
                    await CopyAsync(connection, table, options.Format, stream, cancellationToken).ConfigureAwait(false);
                }

                stream.Flush(flushToDisk: true);
            }

            // Nobody but us writes to the instance: the rows are those that were exported.
            long rows = await CountAsync(connection, table, cancellationToken).ConfigureAwait(false);
            options.RefuseExisting(table.Path);
            File.Move(temporary, table.Path, options.Force);
            Posix.SyncDirectory(Path.GetDirectoryName(table.Path)!);
            return rows;
        }
        catch (NpgsqlException e)
        {
            File.Delete(temporary);
            throw instance.Connector.Translate(e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Delete(temporary);
            throw new SmcException(SmcErrorCode.TargetUnsuitable, $"The file '{table.Path}' cannot be written: {e.Message}", e, target: table.Path);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private static async Task CopyAsync(
        NpgsqlConnection connection, Table table, TableExportFormat format, Stream destination, CancellationToken cancellationToken)
    {
        // Of a query, because COPY of a partitioned table or a materialized view by its name is refused.
        string source = $"COPY (SELECT * FROM {table.Sql}) TO STDOUT";
        if (format == TableExportFormat.Binary)
        {
            NpgsqlRawCopyStream binary = await connection
                .BeginRawBinaryCopyAsync($"{source} (FORMAT binary)", cancellationToken).ConfigureAwait(false);
            await using (binary.ConfigureAwait(false))
            {
                await binary.CopyToAsync(destination, cancellationToken).ConfigureAwait(false);
            }

            return;
        }

        using TextReader text = await connection.BeginTextExportAsync(
            source + (format == TableExportFormat.Csv ? " (FORMAT csv, HEADER)" : " (FORMAT text)"), cancellationToken).ConfigureAwait(false);

        // The bytes as the server sends them, in UTF-8, and not through characters.
        await ((StreamReader)text).BaseStream.CopyToAsync(destination, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection, Table table, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = connection.CreateCommand();
        command.CommandText = $"SELECT pg_catalog.count(*) FROM {table.Sql}";
        return (long)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    private static async Task DumpAsync(
        SideInstance instance, NpgsqlConnection connection, Table table, TableExportOptions options, string path, CancellationToken cancellationToken)
    {
        // Without its partitions a partitioned table has no rows, and --table-and-children came with PostgreSQL 16.
        List<string> tables = [];
        using (NpgsqlCommand command = connection.CreateCommand())
        {
            command.CommandText =
                """
                SELECT n.nspname::text, c.relname::text
                FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) AS p
                JOIN pg_catalog.pg_class AS c ON c.oid = p.relid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                WHERE p.level > 0
                """;
            command.Parameters.Add(new NpgsqlParameter { Value = table.Sql });
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    tables.Add("--table=" + new Table(reader.GetString(0), reader.GetString(1), "").Sql);
                }
            }
        }

        ProgramResult result = await instance.Programs.RunAsync(
            "pg_dump",
            [
                "--format=custom", "--no-password", "--file=" + path,
                // In double quotes a pattern is a name (the manual's page on psql, "Patterns").
                $"--table={table.Sql}",
                .. tables,
                "--host=" + instance.SocketDirectory, $"--port={SideInstance.Port}", "--username=" + instance.Connector.Username,
                "--dbname=dbname='" + options.Database.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal) + "'",
            ],
            null,
            cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw new SmcException(
                SmcErrorCode.BackupInterrupted, $"pg_dump cannot export '{table.Schema}.{table.Name}': {result.Tail}.", target: table.Path);
        }
    }

    private sealed record Table(string Schema, string Name, string Path)
    {
        public string Sql => $"{Quote(Schema)}.{Quote(Name)}";

        private static string Quote(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
