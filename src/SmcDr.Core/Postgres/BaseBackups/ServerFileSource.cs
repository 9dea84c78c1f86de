using System.Data;
using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Reads files of the data directory through one connection, by <c>pg_read_binary_file</c>. A connection that breaks is opened
/// again, since reading changes nothing: what makes a backup is the session that holds it open, and that one is watched elsewhere.
/// </summary>
internal sealed class ServerFileSource : ICopySource
{
    private const int Attempts = 3;

    private readonly PostgresConnector _connector;
    private NpgsqlConnection? _connection;
    private NpgsqlCommand? _range;
    private NpgsqlCommand? _many;
    private NpgsqlCommand? _pages;

    /// <summary>A source that connects when it is first asked.</summary>
    public ServerFileSource(PostgresConnector connector) => _connector = connector;

    /// <summary>The bytes of files that came through this connection.</summary>
    public long ReceivedBytes { get; private set; }

    public static async Task<ServerFileSource> OpenAsync(PostgresConnector connector, CancellationToken cancellationToken)
    {
        ServerFileSource source = new(connector);
        await source.ConnectAsync(cancellationToken).ConfigureAwait(false);
        return source;
    }

    public ValueTask<int?> ReadAsync(string path, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        RetryAsync(
            async token =>
            {
                _range!.Parameters[0].Value = path;
                _range.Parameters[1].Value = offset;
                _range.Parameters[2].Value = (long)buffer.Length;
                NpgsqlDataReader reader = await _range.ExecuteReaderAsync(
                    CommandBehavior.SequentialAccess | CommandBehavior.SingleRow, token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(token).ConfigureAwait(false);
                    if (await reader.IsDBNullAsync(0, token).ConfigureAwait(false))
                    {
                        return (int?)null;
                    }

                    Stream value = await reader.GetStreamAsync(0, token).ConfigureAwait(false);
                    await using (value.ConfigureAwait(false))
                    {
                        int read = await value.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, token)
                            .ConfigureAwait(false);
                        ReceivedBytes += read;
                        return read;
                    }
                }
            },
            cancellationToken);

    /// <summary>In one round trip; what is left out is not sent.</summary>
    public ValueTask<(bool Differs, Range? Place)[]> ReadManyAsync(
        string[] paths, long[] lengths, byte[][] hashes, GrowingBuffer buffer, CancellationToken cancellationToken) =>
        RetryAsync(
            async token =>
            {
                buffer.Clear();
                (bool Differs, Range? Place)[] result = new (bool, Range?)[paths.Length];
                _many!.Parameters[0].Value = paths;
                _many.Parameters[1].Value = lengths;
                _many.Parameters[2].Value = hashes;
                NpgsqlDataReader reader = await _many.ExecuteReaderAsync(CommandBehavior.SequentialAccess, token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        int index = (int)reader.GetInt64(0) - 1;
                        result[index] = (true, await ReadValueAsync(reader, 1, buffer, token).ConfigureAwait(false));
                    }
                }

                return result;
            },
            cancellationToken);

    /// <summary>In one round trip; the server compares.</summary>
    public async ValueTask CompareAsync(
        IReadOnlyList<PageRange> ranges, int pageSize, GrowingBuffer buffer, CancellationToken cancellationToken)
    {
        await RetryAsync(
            async token =>
            {
                buffer.Clear();
                foreach (PageRange range in ranges)
                {
                    range.Clear();
                }

                _pages!.Parameters[0].Value = ranges.Select(static range => range.Path).ToArray();
                _pages.Parameters[1].Value = ranges.Select(static range => range.Offset).ToArray();
                _pages.Parameters[2].Value = ranges.Select(static range => (long)range.Length).ToArray();
                _pages.Parameters[3].Value = ranges.Select(static range => range.Hashes).ToArray();
                _pages.Parameters[4].Value = pageSize;
                NpgsqlDataReader reader = await _pages.ExecuteReaderAsync(CommandBehavior.SequentialAccess, token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        PageRange range = ranges[(int)reader.GetInt64(0) - 1];
                        range.SetFound(await reader.IsDBNullAsync(1, token).ConfigureAwait(false) ? null : reader.GetInt32(1));
                        if (await reader.IsDBNullAsync(2, token).ConfigureAwait(false))
                        {
                            continue;
                        }

                        int page = reader.GetInt32(2);
                        Range place = (await ReadValueAsync(reader, 3, buffer, token).ConfigureAwait(false))!.Value;
                        if (page < 0)
                        {
                            range.SetWhole(place);
                        }
                        else
                        {
                            range.Add(page, place);
                        }
                    }
                }

                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<Lsn> GetWalEndAsync(CancellationToken cancellationToken) =>
        RetryAsync(
            async token =>
            {
                // A standby's pages may be a record ahead of what it counts as replayed, never ahead of what it has received.
                NpgsqlCommand command = new(
                    """
                    SELECT (CASE WHEN pg_catalog.pg_is_in_recovery()
                            THEN GREATEST(pg_catalog.pg_last_wal_replay_lsn(), pg_catalog.pg_last_wal_receive_lsn())
                            ELSE pg_catalog.pg_current_wal_insert_lsn() END)::pg_catalog.text
                    """,
                    _connection);
                await using (command.ConfigureAwait(false))
                {
                    return Lsn.Parse((string)(await command.ExecuteScalarAsync(token).ConfigureAwait(false))!);
                }
            },
            cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
            _connection = null;
        }
    }

    private async ValueTask<Range?> ReadValueAsync(
        NpgsqlDataReader reader, int column, GrowingBuffer buffer, CancellationToken cancellationToken)
    {
        if (await reader.IsDBNullAsync(column, cancellationToken).ConfigureAwait(false))
        {
            return null;
        }

        int start = buffer.Length;
        Stream value = await reader.GetStreamAsync(column, cancellationToken).ConfigureAwait(false);
        await using (value.ConfigureAwait(false))
        {
            await buffer.AppendAsync(value, cancellationToken).ConfigureAwait(false);
        }

        ReceivedBytes += buffer.Length - start;
        return start..buffer.Length;
    }

    private async ValueTask<T> RetryAsync<T>(Func<CancellationToken, ValueTask<T>> read, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                if (_connection is null)
                {
                    await ConnectAsync(cancellationToken).ConfigureAwait(false);
                }

                return await read(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is NpgsqlException or IOException)
            {
                // After an error of the command itself the connection is still open, and doing it again would not help.
                if (attempt == Attempts || _connection?.State == ConnectionState.Open)
                {
                    throw ServerErrors.TranslateFileError(_connector, e);
                }

                await DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task ConnectAsync(CancellationToken cancellationToken)
    {
        _connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _range = new NpgsqlCommand("SELECT pg_catalog.pg_read_binary_file($1, $2, $3, true)", _connection)
            {
                Parameters =
                {
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Text },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint },
                },
            };
            await _range.PrepareAsync(cancellationToken).ConfigureAwait(false);
            _many = new NpgsqlCommand(
                // OFFSET 0 keeps the planner from pulling the subquery up, which would read the file once to compare and again to send.
                """
                SELECT f.number, r.content
                FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY
                    AS f (path, length, hash, number)
                CROSS JOIN LATERAL (SELECT pg_catalog.pg_read_binary_file(f.path, 0, f.length, true) AS content OFFSET 0) AS r
                WHERE r.content IS NULL OR f.hash OPERATOR(pg_catalog.=) ''
                    OR pg_catalog.sha256(r.content) OPERATOR(pg_catalog.<>) f.hash
                """,
                _connection)
            {
                Parameters =
                {
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea },
                },
            };
            await _many.PrepareAsync(cancellationToken).ConfigureAwait(false);
            _pages = new NpgsqlCommand(
                // The search path is empty, so that operators are those of pg_catalog.
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"""
                    SELECT f.number, pg_catalog.length(r.content), p.page,
                        CASE WHEN p.page < 0 THEN r.content ELSE pg_catalog.substring(r.content, p.page * $5 + 1, $5) END
                    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) WITH ORDINALITY
                        AS f (path, start, length, hashes, number)
                    CROSS JOIN LATERAL (SELECT pg_catalog.pg_read_binary_file(f.path, f.start, f.length, true) AS content OFFSET 0) AS r
                    CROSS JOIN LATERAL (
                        SELECT pg_catalog.count(*) AS count,
                            pg_catalog.array_agg(n.page) FILTER (
                                WHERE pg_catalog.substring(
                                    pg_catalog.sha256(pg_catalog.substring(r.content, n.page * $5 + 1, $5)), 1, {PageHashes.HashSize})
                                    <> pg_catalog.substring(f.hashes, n.page * {PageHashes.HashSize} + 1, {PageHashes.HashSize})) AS changed
                        FROM pg_catalog.generate_series(0, (pg_catalog.length(r.content) + $5 - 1) / $5 - 1) AS n (page)
                        OFFSET 0) AS c
                    LEFT JOIN LATERAL pg_catalog.unnest(
                        CASE WHEN pg_catalog.cardinality(c.changed) * 4 >= c.count * 3 THEN '{"{-1}"}'::pg_catalog.int4[] ELSE c.changed END
                    ) AS p (page) ON true
                    """),
                _connection)
            {
                Parameters =
                {
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Integer },
                },
            };
            await _pages.PrepareAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (NpgsqlException e)
        {
            await DisposeAsync().ConfigureAwait(false);
            throw _connector.Translate(e);
        }
        catch
        {
            await DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
