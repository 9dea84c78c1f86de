using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Drills;

/// <summary>The database of the drill: its tables, their content, and what is known of it.</summary>
internal sealed class DrillDatabase(PostgresConnector server)
{
    public const string Name = "trading";
    private const int BatchRows = 20_000;

    private readonly PostgresConnector _connector = server.WithDatabase(Name);

    /// <summary>What opens connections to the database.</summary>
    public PostgresConnector Connector => _connector;

    /// <summary>Makes the database and its tables.</summary>
    public async Task CreateAsync(CancellationToken cancellationToken)
    {
        NpgsqlConnection admin = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (admin.ConfigureAwait(false))
        {
            await ExecuteAsync(admin, $"CREATE DATABASE {Name}", cancellationToken).ConfigureAwait(false);
        }

        NpgsqlConnection connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            await ExecuteAsync(
                connection,
                """
                CREATE TABLE public.users (
                    id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, created_at timestamptz NOT NULL,
                    opening_balance numeric(18,2) NOT NULL, balance numeric(18,2) NOT NULL);
                CREATE TABLE public.trades (
                    id bigint PRIMARY KEY, user_id bigint NOT NULL, symbol text NOT NULL, side text NOT NULL, quantity numeric(18,8) NOT NULL,
                    price numeric(18,2) NOT NULL, executed_at timestamptz NOT NULL, reference uuid NOT NULL, remark text);
                CREATE INDEX trades_by_user ON public.trades (user_id, executed_at);
                CREATE INDEX trades_by_symbol ON public.trades (symbol, executed_at);
                CREATE TABLE public.orders (
                    id bigint PRIMARY KEY, writer int NOT NULL, content text NOT NULL, placed_at timestamptz NOT NULL DEFAULT clock_timestamp());
                CREATE TABLE public.transfers (
                    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, from_user bigint NOT NULL, to_user bigint NOT NULL,
                    amount numeric(18,2) NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
                CREATE TABLE public.sessions (token uuid PRIMARY KEY, user_id bigint NOT NULL, seen_at timestamptz NOT NULL DEFAULT now());
                """,
                cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Loads data until the database has a size, and returns the number of trades.</summary>
    public async Task<long> LoadAsync(long bytes, IOperationObserver observer, CancellationToken cancellationToken)
    {
        const string Activity = "Load data";
        NpgsqlConnection connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                long empty = await ScalarAsync<long>(connection, "SELECT pg_database_size(current_database())", cancellationToken).ConfigureAwait(false);
                await ExecuteAsync(
                    connection,
                    string.Create(CultureInfo.InvariantCulture, $"""
                        INSERT INTO public.users
                        SELECT i, 'User ' || substr(md5(i::text), 1, 12), md5(random()::text) || '@example.com', now() - random() * interval '900 days',
                               b, b
                        FROM (SELECT i, (random() * 100000)::numeric(18,2) AS b FROM generate_series(1, {Math.Clamp(bytes / 20_000, 1_000, 200_000)}) AS i) AS s
                        """),
                    cancellationToken).ConfigureAwait(false);
                long rows = 0;
                while (true)
                {
                    long size = await ScalarAsync<long>(connection, "SELECT pg_database_size(current_database())", cancellationToken).ConfigureAwait(false) - empty;
                    observer.Progress(new OperationProgress(Activity, "", Math.Min(size, bytes), bytes));
                    if (size >= bytes)
                    {
                        return rows;
                    }

                    // Values as far apart as real ones, so that neither compression nor deduplication has it easier than in earnest.
                    await ExecuteAsync(
                        connection,
                        string.Create(CultureInfo.InvariantCulture, $"""
                            INSERT INTO public.trades
                            SELECT i, 1 + (random() * 999)::bigint, (ARRAY['BTC-USD','ETH-USD','SOL-USD','XRP-USD','ADA-USD','DOT-USD'])[1 + (random() * 5)::int],
                                   CASE WHEN random() < 0.5 THEN 'buy' ELSE 'sell' END, random() * 10, random() * 90000,
                                   now() - random() * interval '90 days', gen_random_uuid(),
                                   CASE WHEN random() < 0.3 THEN md5(random()::text) || md5(random()::text) END
                            FROM generate_series({rows + 1}, {rows + BatchRows}) AS i
                            """),
                        cancellationToken).ConfigureAwait(false);
                    rows += BatchRows;
                }
            }
            finally
            {
                observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
            }
        }
    }

    /// <summary>The server's clock, in the whole microseconds that it works with.</summary>
    public Task<DateTimeOffset> ClockAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static async (connection, token) => new DateTimeOffset(
                await ScalarAsync<DateTime>(connection, "SELECT clock_timestamp()", token).ConfigureAwait(false), TimeSpan.Zero),
            cancellationToken);

    /// <summary>The end of the server's durable WAL.</summary>
    public Task<Lsn> FlushedLsnAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static async (connection, token) =>
                Lsn.Parse(await ScalarAsync<string>(connection, "SELECT pg_current_wal_flush_lsn()::text", token).ConfigureAwait(false)),
            cancellationToken);

    /// <summary>The timeline that the server writes.</summary>
    public Task<int> TimelineAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static (connection, token) => ScalarAsync<int>(
                connection, "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int", token),
            cancellationToken);

    /// <summary>The server's version and the size of the whole cluster.</summary>
    public async Task<(string Version, long Bytes)> DescribeAsync(CancellationToken cancellationToken) =>
        await QueryAsync(
            static async (connection, token) => (
                await ScalarAsync<string>(connection, "SELECT split_part(current_setting('server_version'), ' ', 1)", token).ConfigureAwait(false),
                await ScalarAsync<long>(connection, "SELECT sum(pg_database_size(oid))::bigint FROM pg_database", token).ConfigureAwait(false)),
            cancellationToken).ConfigureAwait(false);

    /// <summary>The trades, which nobody changes: their number and a digest of their content.</summary>
    public Task<(long Count, string Digest)> TradesAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static async (connection, token) =>
            {
                using NpgsqlCommand command = new("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM public.trades AS t", connection);
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(token).ConfigureAwait(false);
                    string digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(reader.GetString(1))));
                    return (reader.GetInt64(0), digest[..16]);
                }
            },
            cancellationToken);

    /// <summary>The sum of all users' balances, which no transfer changes.</summary>
    public Task<decimal> TotalBalanceAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static (connection, token) => ScalarAsync<decimal>(connection, "SELECT sum(balance) FROM public.users", token), cancellationToken);

    /// <summary>How many users' balances are not what their transfers make them: each is a transaction that came back in part.</summary>
    public Task<long> WrongBalancesAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static (connection, token) => ScalarAsync<long>(
                connection,
                """
                SELECT count(*) FROM public.users AS u
                LEFT JOIN (
                    SELECT id, sum(amount) AS amount
                    FROM (SELECT to_user AS id, amount FROM public.transfers UNION ALL SELECT from_user, -amount FROM public.transfers) AS m
                    GROUP BY id) AS t USING (id)
                WHERE u.balance <> u.opening_balance + coalesce(t.amount, 0)
                """,
                token),
            cancellationToken);

    /// <summary>The ids of the orders whose content is what was written, and the number of those where it is not.</summary>
    public Task<(HashSet<long> Ids, long Wrong)> OrdersAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static async (connection, token) =>
            {
                HashSet<long> ids = [];
                long wrong = 0;
                using NpgsqlCommand command = new("SELECT id, content = md5(id::text) FROM public.orders", connection);
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        if (!reader.GetBoolean(1) || !ids.Add(reader.GetInt64(0)))
                        {
                            wrong++;
                        }
                    }
                }

                return (ids, wrong);
            },
            cancellationToken);

    /// <summary>The accident: somebody drops a table and empties another.</summary>
    public Task DropDataAsync(CancellationToken cancellationToken) =>
        QueryAsync(
            static async (connection, token) =>
            {
                await ExecuteAsync(connection, "BEGIN; DROP TABLE public.trades; DELETE FROM public.orders; COMMIT", token).ConfigureAwait(false);
                return true;
            },
            cancellationToken);

    /// <summary>Runs a query on a connection of its own.</summary>
    public async Task<T> QueryAsync<T>(
        Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                return await query(connection, cancellationToken).ConfigureAwait(false);
            }
            catch (NpgsqlException e)
            {
                throw _connector.Translate(e);
            }
        }
    }

    internal static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = new(sql, connection);
        return (T)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    internal static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }
}
