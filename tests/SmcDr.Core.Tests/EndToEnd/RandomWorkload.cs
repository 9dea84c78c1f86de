using System.Globalization;
using Npgsql;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>Random transactions of every kind that recovery must bring back: rows, definitions, large objects, sequences, indexes.</summary>
internal sealed class RandomWorkload(NpgsqlConnection connection, Random random, string tablespace)
{
    public const int MostRowsInTransaction = 40;

    private readonly List<string> _tables = [];
    private int _names;

    public async Task PrepareAsync()
    {
        await ExecuteAsync("CREATE SCHEMA work");
        await ExecuteAsync("CREATE SEQUENCE work.numbers");
        for (int i = 0; i < 3; i++)
        {
            await CreateTableAsync(i == 0 ? tablespace : null);
        }
    }

    /// <summary>Does one transaction.</summary>
    public async Task StepAsync()
    {
        string table = _tables[random.Next(_tables.Count)];
        switch (random.Next(20))
        {
            case < 8:
                await ExecuteAsync(Text(
                    $"INSERT INTO {table} (id, payload) SELECT nextval('work.numbers'), md5(random()::text) || repeat('x', (random() * 300)::int) FROM generate_series(1, {random.Next(1, MostRowsInTransaction)})"));
                break;
            case < 12:
                await ExecuteAsync(Text($"UPDATE {table} SET payload = md5(payload) WHERE id % {random.Next(2, 9)} = 0"));
                break;
            case < 14:
                await ExecuteAsync(Text($"DELETE FROM {table} WHERE id % {random.Next(5, 17)} = 1"));
                break;
            case 14:
                await CreateTableAsync(random.Next(2) == 0 ? tablespace : null);
                break;
            case 15 when _tables.Count > 2:
                await ExecuteAsync($"DROP TABLE {table}");
                _tables.Remove(table);
                break;
            case 16:
                await ExecuteAsync(Text($"CREATE INDEX index_{_names++} ON {table} (payload, id)"));
                break;
            case 17:
                await ExecuteAsync(Text($"ALTER TABLE {table} ADD COLUMN extra_{_names++} int DEFAULT {random.Next(100)}"));
                break;
            case 18:
                await ExecuteAsync(Text(
                    $"SELECT lo_from_bytea(0, convert_to(repeat(md5('{_names++}'), {random.Next(1, 400)}), 'UTF8'))"));
                break;
            default:
                // A transaction that is rolled back leaves records, and must leave no rows.
                await ExecuteAsync("BEGIN");
                await ExecuteAsync($"INSERT INTO {table} (id, payload) VALUES (-1, 'rolled back')");
                await ExecuteAsync("ROLLBACK");
                break;
        }
    }

    private async Task CreateTableAsync(string? where)
    {
        string table = Text($"work.table_{_names++}");
        await ExecuteAsync(
            $"CREATE TABLE {table} (id bigint, payload text){(where is null ? "" : $" TABLESPACE {where}")}");
        _tables.Add(table);
    }

    private async Task ExecuteAsync(string sql)
    {
        await using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
