using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// A snapshot of one database that pg_dump takes over, so that what is noted beside the dump is true of exactly the same rows.
/// It lives as long as this object's transaction.
/// </summary>
internal sealed class DumpSnapshot : IAsyncDisposable
{
    private readonly NpgsqlConnection? _connection;

    private DumpSnapshot(NpgsqlConnection? connection) => _connection = connection;

    /// <summary>For <c>pg_dump --snapshot</c>; null where pg_dump must take its own.</summary>
    public string? Id { get; private init; }

    public DateTimeOffset? Time { get; private init; }

    public Lsn? Lsn { get; private init; }

    public long? SizeBytes { get; private init; }

    /// <summary>The tables that the dump must hold; null where the catalogs cannot be read.</summary>
    public List<LogicalTableDetails>? Tables { get; private init; }

    /// <summary>Takes it.</summary>
    /// <param name="connector">The server and database.</param>
    /// <param name="tolerant">Whether to go on where the catalogs cannot be read.</param>
    /// <param name="observer">Is told where that is so.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<DumpSnapshot> OpenAsync(
        PostgresConnector connector, bool tolerant, IOperationObserver observer, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await DatabaseCatalog.ExecuteAsync(
                connection, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", cancellationToken).ConfigureAwait(false);
            string id = await DatabaseCatalog
                .ScalarAsync<string>(connection, "SELECT pg_catalog.pg_export_snapshot()", cancellationToken).ConfigureAwait(false);
            DateTime time = await DatabaseCatalog
                .ScalarAsync<DateTime>(connection, "SELECT pg_catalog.clock_timestamp()", cancellationToken).ConfigureAwait(false);
            string lsn = await DatabaseCatalog.ScalarAsync<string>(
                connection,
                "SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END)::pg_catalog.text",
                cancellationToken).ConfigureAwait(false);
            return new DumpSnapshot(connection)
            {
                Id = id,
                Time = new DateTimeOffset(DateTime.SpecifyKind(time, DateTimeKind.Utc)),
                Lsn = SmcDr.Lsn.Parse(lsn),
                Tables = await DatabaseCatalog.ReadTablesAsync(connection, cancellationToken).ConfigureAwait(false),
                SizeBytes = await DatabaseCatalog.ScalarAsync<long>(
                    connection, "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())", cancellationToken).ConfigureAwait(false),
            };
        }
        catch (PostgresException e) when (tolerant)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            observer.Warning($"The catalogs of the database '{connector.Database}' cannot be read in full, so its dump is not compared with them: {e.MessageText}.");
            return new DumpSnapshot(null);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Lets the server count the rows of each table.</summary>
    public async Task<List<LogicalTableDetails>?> CountAsync(CancellationToken cancellationToken)
    {
        if (Tables is null || _connection is null)
        {
            return null;
        }

        List<LogicalTableDetails> counted = [];
        foreach (LogicalTableDetails table in Tables)
        {
            counted.Add(table with
            {
                ServerRows = await DatabaseCatalog.CountRowsAsync(_connection, table.Schema, table.Name, cancellationToken).ConfigureAwait(false),
            });
        }

        return counted;
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
        }
    }
}
