using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Drills;

/// <summary>Reads a recovered cluster as a whole, by the server's own means.</summary>
internal static class DrillIntegrity
{
    /// <summary>Whether the server has the extension <c>amcheck</c> at hand.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>.</exception>
    public static async Task RequireAmcheckAsync(PostgresConnector server, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            if (!await DrillDatabase.ScalarAsync<bool>(
                connection, "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')", cancellationToken).ConfigureAwait(false))
            {
                throw new SmcException(
                    SmcErrorCode.ProgramNotFound,
                    "PostgreSQL's extension 'amcheck' is not installed, and a recovered cluster cannot be checked without it.",
                    recommendation: "Install PostgreSQL's contrib modules (package postgresql-contrib) and run the drill again.",
                    target: "amcheck");
            }
        }
    }

    /// <summary>
    /// amcheck over every table, materialized view and TOAST table, and over every B-tree index with all the rows that it must
    /// hold, in each database. Returns how many relations were read and what was found wrong.
    /// </summary>
    public static async Task<(int Relations, IReadOnlyList<string> Problems)> AmcheckAsync(
        PostgresConnector server, CancellationToken cancellationToken)
    {
        int relations = 0;
        List<string> problems = [];
        foreach (string database in new[] { "postgres", DrillDatabase.Name })
        {
            NpgsqlConnection connection = await server.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                // In a transaction that is rolled back: the check leaves nothing in the cluster.
                NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
                await using (transaction.ConfigureAwait(false))
                {
                    await DrillDatabase.ExecuteAsync(connection, "CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA public", cancellationToken).ConfigureAwait(false);
                    foreach ((uint id, string name, bool isIndex) in await ListAsync(connection, cancellationToken).ConfigureAwait(false))
                    {
                        problems.AddRange(await CheckAsync(connection, id, $"{database}: {name}", isIndex, cancellationToken).ConfigureAwait(false));
                        relations++;
                    }
                }
            }
        }

        return (relations, problems);
    }

    /// <summary>pg_checksums over every page of a stopped cluster. Returns what it said, and whether all were right.</summary>
    public static async Task<(string Summary, bool Passed)> ChecksumsAsync(HostServer server, CancellationToken cancellationToken)
    {
        ProgramResult result = await server.RunAsync("pg_checksums", ["--check", "-D", server.DataDirectory], cancellationToken).ConfigureAwait(false);
        string? Line(string label) => result.Output.Split('\n')
            .FirstOrDefault(line => line.StartsWith(label, StringComparison.Ordinal))?[label.Length..].Trim();
        string? pages = Line("Blocks scanned:");
        string? bad = Line("Bad checksums:");
        return result.ExitCode == 0 && pages is not null && bad == "0"
            ? (long.Parse(pages, CultureInfo.InvariantCulture).ToString("N0", CultureInfo.InvariantCulture), true)
            : (result.Tail, false);
    }

    private static async Task<List<(uint Id, string Name, bool IsIndex)>> ListAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        List<(uint, string, bool)> result = [];
        using NpgsqlCommand command = new(
            """
            SELECT c.oid, c.oid::regclass::text, c.relkind = 'i'
            FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid LEFT JOIN pg_am AS a ON a.oid = c.relam
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
        NpgsqlConnection connection, uint id, string name, bool isIndex, CancellationToken cancellationToken)
    {
        List<string> problems = [];
        // A check that throws would end the transaction, and the relations behind it would go unread.
        await DrillDatabase.ExecuteAsync(connection, "SAVEPOINT relation", cancellationToken).ConfigureAwait(false);
        using NpgsqlCommand command = new(
            isIndex
                ? "SELECT NULL::text FROM public.bt_index_check($1::oid::regclass, true)"
                : "SELECT format('block %s: %s', blkno, msg) FROM public.verify_heapam($1::oid::regclass, check_toast => true)",
            connection);
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
            await DrillDatabase.ExecuteAsync(connection, "ROLLBACK TO SAVEPOINT relation", cancellationToken).ConfigureAwait(false);
        }

        return problems;
    }
}
