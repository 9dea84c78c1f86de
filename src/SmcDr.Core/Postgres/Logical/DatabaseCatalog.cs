using System.Globalization;
using Npgsql;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>What the server's catalogs say of databases and their tables.</summary>
internal static class DatabaseCatalog
{
    // A column that a version does not have is null this way, and no error.
    private const string DatabaseQuery =
        """
        SELECT d.datname::pg_catalog.text, pg_catalog.pg_get_userbyid(d.datdba)::pg_catalog.text, pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text,
            d.datcollate::pg_catalog.text, d.datctype::pg_catalog.text,
            CASE pg_catalog.to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
            COALESCE(pg_catalog.to_jsonb(d) ->> 'daticulocale', pg_catalog.to_jsonb(d) ->> 'datlocale'),
            pg_catalog.to_jsonb(d) ->> 'daticurules',
            pg_catalog.to_jsonb(d) ->> 'datcollversion',
            t.spcname::pg_catalog.text, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'), d.datistemplate, d.datallowconn,
            pg_catalog.has_database_privilege(d.oid, 'CONNECT'), d.datacl IS NULL
        FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
        ORDER BY d.datname
        """;

    private const string TableQuery =
        """
        SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, s.n_live_tup, s.n_tup_ins, s.n_tup_upd, s.n_tup_del,
            c.relpages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_stat_user_tables s ON s.relid = c.oid
        WHERE c.relkind = 'r' AND (c.relpersistence = 'p' OR (c.relpersistence = 'u' AND NOT pg_catalog.pg_is_in_recovery())) AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend e
                WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')
        ORDER BY 1, 2
        """;

    /// <summary>All databases, in the order of their names. Sizes and paths are not looked for.</summary>
    public static async Task<List<DatabaseRow>> ReadDatabasesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        List<DatabaseRow> rows = [];
        List<string> changed = [];
        await foreach (NpgsqlDataReader row in QueryAsync(connection, DatabaseQuery, [], cancellationToken).ConfigureAwait(false))
        {
            LogicalDatabaseDetails details = new()
            {
                Name = row.GetString(0),
                Path = "",
                TableCount = 0,
                RowCount = 0,
                LargeObjectCount = 0,
                Owner = row.GetString(1),
                Encoding = row.GetString(2),
                Collate = row.GetString(3),
                CharacterType = row.GetString(4),
                LocaleProvider = row.GetString(5),
                Locale = Text(row, 6),
                IcuRules = Text(row, 7),
                CollationVersion = Text(row, 8),
                Tablespace = row.GetString(9) is var tablespace && tablespace == "pg_default" ? null : tablespace,
                ConnectionLimit = row.GetInt32(10),
                Comment = Text(row, 11),
            };
            rows.Add(new DatabaseRow(details, row.GetBoolean(12), row.GetBoolean(13), row.GetBoolean(14)));
            if (!row.GetBoolean(15))
            {
                changed.Add(details.Name);
            }
        }

        ILookup<string, LogicalDatabaseGrant> grants = await ReadGrantsAsync(connection, cancellationToken).ConfigureAwait(false);
        ILookup<string, LogicalDatabaseSetting> settings = await ReadSettingsAsync(connection, cancellationToken).ConfigureAwait(false);
        return
        [
            .. rows.Select(row => row with
            {
                Details = row.Details with
                {
                    Grants = changed.Contains(row.Details.Name) ? [.. grants[row.Details.Name]] : null,
                    Settings = [.. settings[row.Details.Name]],
                },
            }),
        ];
    }

    /// <summary>The user tables of the connection's database, with what the server's statistics say of them.</summary>
    public static async Task<List<LogicalTableDetails>> ReadTablesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        List<LogicalTableDetails> tables = [];
        await foreach (NpgsqlDataReader row in QueryAsync(connection, TableQuery, [], cancellationToken).ConfigureAwait(false))
        {
            tables.Add(new LogicalTableDetails
            {
                Schema = row.GetString(0),
                Name = row.GetString(1),
                EstimatedRows = Number(row, 2),
                Inserted = Number(row, 3),
                Updated = Number(row, 4),
                Deleted = Number(row, 5),
                SizeBytes = Number(row, 6),
            });
        }

        return tables;
    }

    /// <summary>How many rows a table holds, without those of tables that inherit from it.</summary>
    public static Task<long> CountRowsAsync(NpgsqlConnection connection, string schema, string table, CancellationToken cancellationToken) =>
        ScalarAsync<long>(connection, $"SELECT pg_catalog.count(*) FROM ONLY {Sql.Name(schema)}.{Sql.Name(table)}", cancellationToken);

    /// <summary>Whether anybody has put something into the connection's database.</summary>
    public static Task<bool> IsEmptyAsync(NpgsqlConnection connection, CancellationToken cancellationToken) => ScalarAsync<bool>(
        connection,
        """
        SELECT NOT EXISTS (
                SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_')
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_')
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname NOT IN ('public', 'information_schema') AND n.nspname !~ '^pg_')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname <> 'plpgsql')
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
        """,
        cancellationToken);

    public static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(sql, connection);
        await using (command.ConfigureAwait(false))
        {
            object? value = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
            return value is null or DBNull ? default! : (T)value;
        }
    }

    /// <summary>The texts of the first column.</summary>
    public static async Task<HashSet<string>> ReadNamesAsync(
        NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params object[] values)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        await foreach (NpgsqlDataReader row in QueryAsync(connection, sql, values, cancellationToken).ConfigureAwait(false))
        {
            names.Add(row.GetString(0));
        }

        return names;
    }

    public static async Task ExecuteAsync(
        NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params object[] values)
    {
        NpgsqlCommand command = Command(connection, sql, values);
        await using (command.ConfigureAwait(false))
        {
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public static async IAsyncEnumerable<NpgsqlDataReader> QueryAsync(
        NpgsqlConnection connection,
        string sql,
        object[] values,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        NpgsqlCommand command = Command(connection, sql, values);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    yield return reader;
                }
            }
        }
    }

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, object[] values)
    {
        NpgsqlCommand command = new(sql, connection);
        foreach (object value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return command;
    }

    private static async Task<ILookup<string, LogicalDatabaseGrant>> ReadGrantsAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        List<(string Database, LogicalDatabaseGrant Grant)> grants = [];
        await foreach (NpgsqlDataReader row in QueryAsync(
            connection,
            """
            SELECT d.datname::pg_catalog.text, CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text END,
                a.privilege_type, a.is_grantable
            FROM pg_catalog.pg_database d, LATERAL pg_catalog.aclexplode(d.datacl) a
            """,
            [],
            cancellationToken).ConfigureAwait(false))
        {
            grants.Add((row.GetString(0), new LogicalDatabaseGrant(Text(row, 1), row.GetString(2), row.GetBoolean(3))));
        }

        return grants.ToLookup(static pair => pair.Database, static pair => pair.Grant);
    }

    private static async Task<ILookup<string, LogicalDatabaseSetting>> ReadSettingsAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        List<(string Database, LogicalDatabaseSetting Setting)> settings = [];
        await foreach (NpgsqlDataReader row in QueryAsync(
            connection,
            """
            SELECT d.datname::pg_catalog.text, CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text END, c
            FROM pg_catalog.pg_db_role_setting s
            JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, LATERAL pg_catalog.unnest(s.setconfig) c
            """,
            [],
            cancellationToken).ConfigureAwait(false))
        {
            string[] parts = row.GetString(2).Split('=', 2);
            settings.Add((row.GetString(0), new LogicalDatabaseSetting(Text(row, 1), parts[0], parts[1])));
        }

        return settings.ToLookup(static pair => pair.Database, static pair => pair.Setting);
    }

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static long? Number(NpgsqlDataReader row, int column) =>
        row.IsDBNull(column) ? null : Convert.ToInt64(row.GetValue(column), CultureInfo.InvariantCulture);
}
