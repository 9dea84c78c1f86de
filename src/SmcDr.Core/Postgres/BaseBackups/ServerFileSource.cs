using System.Data;
using Npgsql;
using NpgsqlTypes;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Reads files of the data directory through one connection, by <c>pg_read_binary_file</c>. A connection that breaks is opened
/// again, since reading changes nothing: what makes a backup is the session that holds it open, and that one is watched elsewhere.
/// </summary>
internal sealed class ServerFileSource : IFileSource, IAsyncDisposable
{
    private const int Attempts = 3;

    private readonly PostgresConnector _connector;
    private NpgsqlConnection? _connection;
    private NpgsqlCommand? _range;
    private NpgsqlCommand? _many;

    private ServerFileSource(PostgresConnector connector) => _connector = connector;

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
                        return await value.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, token)
                            .ConfigureAwait(false);
                    }
                }
            },
            cancellationToken);

    /// <summary>
    /// Reads several files from their beginning in one round trip, one behind the other into <paramref name="buffer"/>, and returns
    /// for each where it lies; null for one that is gone.
    /// </summary>
    /// <param name="paths">The files.</param>
    /// <param name="lengths">The most to read of each.</param>
    /// <param name="buffer">Is enlarged as needed.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public ValueTask<Range?[]> ReadManyAsync(
        string[] paths, long[] lengths, GrowingBuffer buffer, CancellationToken cancellationToken) =>
        RetryAsync(
            async token =>
            {
                buffer.Clear();
                Range?[] result = new Range?[paths.Length];
                _many!.Parameters[0].Value = paths;
                _many.Parameters[1].Value = lengths;
                NpgsqlDataReader reader = await _many.ExecuteReaderAsync(CommandBehavior.SequentialAccess, token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        int index = (int)reader.GetInt64(0) - 1;
                        if (await reader.IsDBNullAsync(1, token).ConfigureAwait(false))
                        {
                            continue;
                        }

                        int start = buffer.Length;
                        Stream value = await reader.GetStreamAsync(1, token).ConfigureAwait(false);
                        await using (value.ConfigureAwait(false))
                        {
                            await buffer.AppendAsync(value, token).ConfigureAwait(false);
                        }

                        result[index] = start..buffer.Length;
                    }
                }

                return result;
            },
            cancellationToken);

    public ValueTask<Lsn> GetWalEndAsync(CancellationToken cancellationToken) =>
        RetryAsync(
            async token =>
            {
                NpgsqlCommand command = new("SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text", _connection);
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
                """
                SELECT f.number, pg_catalog.pg_read_binary_file(f.path, 0, f.length, true)
                FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS f (path, length, number)
                """,
                _connection)
            {
                Parameters =
                {
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint },
                },
            };
            await _many.PrepareAsync(cancellationToken).ConfigureAwait(false);
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
