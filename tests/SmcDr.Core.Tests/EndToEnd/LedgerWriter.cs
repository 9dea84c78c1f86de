using System.Globalization;
using Npgsql;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>The one writer of a server: commits row after row, and keeps the books of it, also while the server comes and goes.</summary>
internal sealed class LedgerWriter : IAsyncDisposable
{
    public const string Schema = "CREATE TABLE ledger (id bigint PRIMARY KEY, timeline int NOT NULL, content text NOT NULL, digest text NOT NULL)";

    private static readonly Lsn s_unknown = new(ulong.MaxValue);

    private readonly PostgresServer _server;
    private readonly CommitLedger _ledger;
    private readonly uint _timeline;
    private readonly Random _random;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(long Id, Lsn Before)> _inDoubt = [];
    private readonly Task _work;
    private Lsn _position;

    public LedgerWriter(PostgresServer server, CommitLedger ledger, uint timeline, int seed)
    {
        (_server, _ledger, _timeline, _random) = (server, ledger, timeline, new Random(seed));
        _work = Task.Run(WorkAsync);
    }

    /// <summary>The rows of a database, each of them whole.</summary>
    public static async Task<HashSet<long>> ReadAsync(PostgresServer server)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        await using NpgsqlCommand command = new("SELECT id, md5(content) = digest FROM ledger", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        HashSet<long> rows = [];
        while (await reader.ReadAsync())
        {
            Assert.True(reader.GetBoolean(1), string.Create(CultureInfo.InvariantCulture, $"Row {reader.GetInt64(0)} has other content."));
            Assert.True(rows.Add(reader.GetInt64(0)));
        }

        return rows;
    }

    /// <summary>Ends the writing. What is in doubt stays so where the server does not run.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _work;
        foreach ((long id, Lsn before) in _inDoubt)
        {
            _ledger.Add(new CommittedRow(id, _timeline, 0, before, s_unknown, null));
        }

        _inDoubt.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task WorkAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using NpgsqlConnection connection = await _server.OpenAsync();
                _position = await PositionAsync(connection);
                await ResolveAsync(connection);
                while (!_stop.IsCancellationRequested)
                {
                    await StepAsync(connection);
                    await Task.Delay(_random.Next(20), _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException)
            {
                // The server is away; whoever took it away brings it back.
                await Task.Delay(100, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task StepAsync(NpgsqlConnection connection)
    {
        long id = _ledger.NextId();
        int kind = _random.Next(40);
        if (kind == 0)
        {
            // Leaves records, and must leave no row.
            await ExecuteAsync(connection, "BEGIN");
            await ExecuteAsync(connection, Insert(id, 1));
            await ExecuteAsync(connection, "ROLLBACK");
            return;
        }

        if (kind < 4)
        {
            // WAL that leaves nothing in the database, up to a segment of it in one record.
            await ExecuteAsync(connection, string.Create(
                CultureInfo.InvariantCulture, $"SELECT pg_logical_emit_message({(kind == 1 ? "true" : "false")}, 'fill', repeat('x', {_random.Next(1, 1_200_000)}))"));
            _position = await PositionAsync(connection);
        }

        Lsn before = _position;
        _inDoubt.Add((id, before));
        uint xid = await ExecuteAsync(connection, Insert(id, kind == 4 ? 2000 : _random.Next(1, 20)));
        await using NpgsqlCommand command = new(
            string.Create(CultureInfo.InvariantCulture, $"SELECT pg_current_wal_insert_lsn()::text, pg_xact_commit_timestamp('{xid}'::xid)"), connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        _position = Lsn.Parse(reader.GetString(0));
        _ledger.Add(new CommittedRow(id, _timeline, xid, before, _position, new DateTimeOffset(reader.GetDateTime(1).ToUniversalTime(), TimeSpan.Zero)));
        _inDoubt.RemoveAt(_inDoubt.Count - 1);
    }

    /// <summary>Finds out what became of the rows whose commit was not answered.</summary>
    private async Task ResolveAsync(NpgsqlConnection connection)
    {
        for (int i = _inDoubt.Count - 1; i >= 0; i--)
        {
            (long id, Lsn before) = _inDoubt[i];
            await using NpgsqlCommand command = new(
                string.Create(CultureInfo.InvariantCulture, $"SELECT xmin::text, pg_xact_commit_timestamp(xmin) FROM ledger WHERE id = {id}"), connection);
            await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
            if (await reader.ReadAsync())
            {
                _ledger.Add(new CommittedRow(
                    id,
                    _timeline,
                    uint.Parse(reader.GetString(0), CultureInfo.InvariantCulture),
                    before,
                    _position,
                    new DateTimeOffset(reader.GetDateTime(1).ToUniversalTime(), TimeSpan.Zero)));
            }

            _inDoubt.RemoveAt(i);
        }
    }

    private string Insert(long id, int words) => string.Create(
        CultureInfo.InvariantCulture,
        $"INSERT INTO ledger SELECT {id}, {_timeline}, v, md5(v) FROM (SELECT string_agg(md5(random()::text || g), '') AS v FROM generate_series(1, {words}) g) s RETURNING pg_current_xact_id()::xid::text");

    private static async Task<uint> ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using NpgsqlCommand command = new(sql, connection);
        object? value = await command.ExecuteScalarAsync();
        return uint.TryParse(value as string, NumberStyles.None, CultureInfo.InvariantCulture, out uint xid) ? xid : 0;
    }

    private static async Task<Lsn> PositionAsync(NpgsqlConnection connection)
    {
        await using NpgsqlCommand command = new("SELECT pg_current_wal_insert_lsn()::text", connection);
        return Lsn.Parse((string)(await command.ExecuteScalarAsync())!);
    }
}
