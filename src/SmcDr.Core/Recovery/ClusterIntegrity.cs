using Npgsql;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery;

/// <summary>Reads a recovered cluster as a whole, by the server's own means.</summary>
internal static class ClusterIntegrity
{
    /// <summary>Whether the server has the extension <c>amcheck</c> at hand.</summary>
    public static async Task<bool> HasAmcheckAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = new("SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck')", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    /// <summary>
    /// amcheck over every table, materialized view and TOAST table of a database, and over every B-tree index with all the rows that it must
    /// hold. Returns how many relations were read and what was found wrong.
    /// </summary>
    public static async Task<(int Relations, IReadOnlyList<string> Problems)> AmcheckAsync(
        PostgresConnector server, string database, TimeSpan timeout, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            // In a transaction that is rolled back: the check leaves nothing in the cluster.
            NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
            await using (transaction.ConfigureAwait(false))
            {
                string schema = await FindSchemaAsync(connection, cancellationToken).ConfigureAwait(false);
                List<(uint Id, string Name, bool IsIndex)> relations = await ListAsync(connection, cancellationToken).ConfigureAwait(false);
                List<string> problems = [];
                await ExecuteAsync(connection, "SAVEPOINT relation", cancellationToken).ConfigureAwait(false);
                foreach ((uint id, string name, bool isIndex) in relations)
                {
                    problems.AddRange(await CheckAsync(
                        connection, schema, id, $"{database}: {name}", isIndex, timeout, cancellationToken).ConfigureAwait(false));
                    // Locks last as long as what took them: of thousands of relations they would not fit into the server's table of locks.
                    // And a check that throws would end the transaction, and the relations behind it would go unread.
                    await ExecuteAsync(connection, "ROLLBACK TO SAVEPOINT relation", cancellationToken).ConfigureAwait(false);
                }

                return (relations.Count, problems);
            }
        }
    }

    /// <summary>
    /// The schema of the extension, quoted, where it is; else one of its own, so that no object of the users is in its way. After an upgrade of
    /// the server it may still be of a version that checks indexes alone.
    /// </summary>
    private static async Task<string> FindSchemaAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        const string Own = "smcdr_amcheck";
        using NpgsqlCommand find = new(
            """
            SELECT pg_catalog.quote_ident(n.nspname),
                EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = n.oid AND p.proname = 'verify_heapam')
            FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
            """,
            connection);
        string? schema = null;
        bool isRecent = true;
        NpgsqlDataReader reader = await find.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            if (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                (schema, isRecent) = (reader.GetString(0), reader.GetBoolean(1));
            }
        }

        if (!isRecent)
        {
            await ExecuteAsync(connection, "ALTER EXTENSION amcheck UPDATE", cancellationToken).ConfigureAwait(false);
        }

        if (schema is not null)
        {
            return schema;
        }

        await ExecuteAsync(connection, $"CREATE SCHEMA {Own}", cancellationToken).ConfigureAwait(false);
        await ExecuteAsync(connection, $"CREATE EXTENSION amcheck SCHEMA {Own}", cancellationToken).ConfigureAwait(false);
        return Own;
    }

    private static async Task<List<(uint Id, string Name, bool IsIndex)>> ListAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        List<(uint, string, bool)> result = [];
        using NpgsqlCommand command = new(
            """
            SELECT c.oid, c.oid::pg_catalog.regclass::text, c.relkind = 'i'
            FROM pg_catalog.pg_class AS c
            LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid LEFT JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
            WHERE c.relpersistence = 'p' AND (
                (c.relkind IN ('r', 'm', 't') AND a.amname = 'heap') OR (c.relkind = 'i' AND a.amname = 'btree' AND i.indisvalid AND i.indisready))
            ORDER BY c.oid
            """,
            connection);
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                result.Add((reader.GetFieldValue<uint>(0), reader.GetString(1), reader.GetBoolean(2)));
            }
        }

        return result;
    }

    private static async Task<List<string>> CheckAsync(
        NpgsqlConnection connection, string schema, uint id, string name, bool isIndex, TimeSpan timeout, CancellationToken cancellationToken)
    {
        List<string> problems = [];
        using NpgsqlCommand command = new(
            isIndex
                ? $"SELECT NULL::text FROM {schema}.bt_index_check($1::oid::regclass, true)"
                : $"SELECT format('block %s: %s', blkno, msg) FROM {schema}.verify_heapam($1::oid::regclass, check_toast => true)",
            connection)
        {
            CommandTimeout = (int)timeout.TotalSeconds,
        };
        command.Parameters.Add(new NpgsqlParameter { Value = id, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Oid });
        try
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    if (!isIndex)
                    {
                        problems.Add($"{name}, {reader.GetString(0)}");
                    }
                }
            }
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.IndexCorrupted or PostgresErrorCodes.DataCorrupted)
        {
            problems.Add($"{name}: {e.MessageText}");
        }

        return problems;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }
}
