using System.Globalization;
using System.Text;
using Npgsql;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>Everything that a user could see in a database, as text that can be compared.</summary>
internal static class DatabaseContent
{
    // A sequence logs 32 values ahead, and recovery goes on behind them: SEQ_LOG_VALS in PostgreSQL's sequence.c. Sequences are no part of
    // transactions either: recovery to a time ends at the next commit, and what that transaction drew is replayed before it.
    private const long SequenceSlack = 32 + RandomWorkload.MostRowsInTransaction;

    public static async Task<string> ReadAsync(NpgsqlConnection connection)
    {
        StringBuilder content = new();
        List<string> tables = await ColumnAsync(
            connection,
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'work' ORDER BY 1");
        foreach (string table in tables)
        {
            content.Append(table).Append(' ').AppendLine((await ColumnAsync(
                connection,
                $"SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t"))[0]);
        }

        foreach (string query in new[]
        {
            "SELECT format('%s %s %s', attrelid::regclass, attname, atttypid::regtype) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid " +
                "WHERE c.relnamespace = 'work'::regnamespace AND attnum > 0 ORDER BY 1",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'work' ORDER BY 1",
            "SELECT format('%s %s', relname, coalesce(spcname, 'default')) FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace " +
                "WHERE c.relnamespace = 'work'::regnamespace ORDER BY 1",
            "SELECT format('%s %s', oid, md5(lo_get(oid))) FROM pg_largeobject_metadata ORDER BY oid",
        })
        {
            foreach (string line in await ColumnAsync(connection, query))
            {
                content.AppendLine(line);
            }
        }

        return content.ToString();
    }

    public static async Task<long> ReadSequenceAsync(NpgsqlConnection connection) =>
        long.Parse((await ColumnAsync(connection, "SELECT last_value::text FROM work.numbers"))[0], CultureInfo.InvariantCulture);

    public static void AssertSequence(long recorded, long recovered) =>
        Assert.InRange(recovered, recorded, recorded + SequenceSlack);

    public static async Task<List<string>> ColumnAsync(NpgsqlConnection connection, string sql)
    {
        List<string> values = [];
        await using NpgsqlCommand command = new(sql, connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            values.Add(reader.GetString(0));
        }

        return values;
    }
}
