using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Certification;

/// <summary>The rows of tables, counted and compared with those of an earlier test.</summary>
internal static class TableRows
{
    /// <summary>The rows of every table of users of a database.</summary>
    /// <param name="server">The server, with the database in which it is asked.</param>
    /// <param name="database">The database's name.</param>
    /// <param name="limit">How long a count may take.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<List<TableRowCount>> CountAsync(
        PostgresConnector server, string database, TimeSpan limit, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            // Partitions are counted each for itself. Nothing of an unlogged table survives a recovery.
            using NpgsqlCommand list = new(
                """
                SELECT n.nspname::text, c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname)
                FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                WHERE c.relpersistence = 'p' AND (c.relkind = 'r' OR (c.relkind = 'm' AND c.relispopulated))
                  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%'
                ORDER BY 1, 2
                """,
                connection);
            List<(string Schema, string Table, string Sql)> tables = await ReadAsync(
                list, static reader => (reader.GetString(0), reader.GetString(1), reader.GetString(2)), cancellationToken).ConfigureAwait(false);
            List<TableRowCount> counts = [];
            foreach ((string schema, string table, string sql) in tables)
            {
                using NpgsqlCommand count = new($"SELECT pg_catalog.count(*) FROM ONLY {sql}", connection) { CommandTimeout = (int)limit.TotalSeconds };
                counts.Add(new TableRowCount(
                    database, schema, table, (long)(await count.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!));
            }

            return counts;
        }
    }

    /// <summary>Whether what was recovered is an older state than that of an earlier test.</summary>
    /// <param name="lsn">The position up to which it was recovered.</param>
    /// <param name="time">The last commit; null where there was none after the backup, as where nobody writes, or nothing was replayed.</param>
    /// <param name="last">The earlier test, of the same cluster.</param>
    public static bool IsOlder(string? lsn, DateTimeOffset? time, RecoveryTestResult last) =>
        Lsn.TryParse(lsn, out Lsn here) && Lsn.TryParse(last.RecoveredLsn, out Lsn there) ? here < there : time < last.RecoveredTime;

    /// <summary>Compares what was counted with what an earlier test has counted: an empty table fails, and half the rows are a warning.</summary>
    /// <param name="found">What was counted, in words.</param>
    /// <param name="database">The database's name.</param>
    /// <param name="tables">What was counted.</param>
    /// <param name="last">The earlier test, of no later state.</param>
    /// <param name="some">Puts several findings in words.</param>
    public static CheckFinding Compare(
        string found, string database, List<TableRowCount> tables, RecoveryTestResult last, Func<IReadOnlyList<string>, string> some)
    {
        List<string> lost = [];
        List<string> fewer = [];
        foreach (TableRowCount before in last.Tables.Where(table => table.Database == database && table.RowCount > 0))
        {
            string name = $"{before.Schema}.{before.Table}";
            TableRowCount? now = tables.Find(table => table.Schema == before.Schema && table.Table == before.Table);
            if (now is null)
            {
                fewer.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is gone, which had {before.RowCount:N0} rows"));
            }
            else if (now.RowCount == 0)
            {
                lost.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is empty, and had {before.RowCount:N0} rows"));
            }
            else if (now.RowCount < before.RowCount / 2)
            {
                fewer.Add(string.Create(CultureInfo.InvariantCulture, $"{name} has {now.RowCount:N0} rows, and had {before.RowCount:N0}"));
            }
        }

        const string Advice = "Find out whether that is meant. If it is not, Find-SmcTransaction shows when it happened, and Export-SmcTable brings the rows back.";
        return lost.Count > 0 ? CheckFinding.Failed($"{found}. In the test '{last.TestId}' it was otherwise: {some([.. lost, .. fewer])}", Advice)
            : fewer.Count > 0 ? CheckFinding.Warning($"{found}. In the test '{last.TestId}' it was otherwise: {some(fewer)}", Advice)
            : CheckFinding.Passed($"{found}, and no table lost half of those of the test '{last.TestId}'.");
    }

    /// <summary>All rows of a query.</summary>
    public static async Task<List<T>> ReadAsync<T>(NpgsqlCommand command, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        List<T> rows = [];
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                rows.Add(read(reader));
            }
        }

        return rows;
    }
}
