using System.Globalization;
using System.Net.Sockets;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>What a server has flushed and a repository does not have.</summary>
internal sealed record UnarchivedWal
{
    // As much as is read of the server to find the first commit; it goes through an ordinary connection.
    private const int SearchedBytes = 64 << 20;
    private const int ReadLength = 4 << 20;

    /// <summary>The coverage that the server's WAL continues; null where none was found to.</summary>
    public WalCoverage? Coverage { get; init; }

    /// <summary>How many bytes; null where it is not known.</summary>
    public long? Bytes { get; init; }

    /// <summary>When the oldest transaction in them was committed, where one was found.</summary>
    public DateTimeOffset? OldestCommit { get; init; }

    /// <summary>Whether all of them were searched, so that without <see cref="OldestCommit"/> there is no commit.</summary>
    public bool IsSearched { get; init; }

    /// <summary>The server's clock.</summary>
    public DateTimeOffset ServerTime { get; init; }

    /// <summary>Up to where the slot of the stream was told that WAL is durable; null where there is no such slot.</summary>
    public Lsn? Acknowledged { get; init; }

    /// <summary>Why it is not known.</summary>
    public string? Problem { get; init; }

    /// <summary>Asks the server. That it does not answer is an answer.</summary>
    public static async Task<UnarchivedWal> MeasureAsync(
        PostgresConnector connector,
        IReadOnlyList<WalCoverage> coverages,
        string? slot,
        TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        try
        {
            // While a server is silent that has taken the connection, Npgsql goes by its own limit and not by the token.
            NpgsqlConnection connection = await connector.WithTimeout(timeout).OpenAsync(limit.Token).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                return await MeasureAsync(connection, connector, coverages, slot, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested &&
            (e is OperationCanceledException or SmcException or NpgsqlException or SocketException or TimeoutException or IOException))
        {
            return new UnarchivedWal
            {
                Problem = string.Create(
                    CultureInfo.InvariantCulture, $"PostgreSQL at {connector.Display} did not answer within {timeout.TotalSeconds:0.###} s."),
            };
        }
        catch (SmcException e)
        {
            return new UnarchivedWal { Problem = e.Message };
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException or IOException)
        {
            return new UnarchivedWal { Problem = connector.Translate(e).Message };
        }
    }

    private static async Task<UnarchivedWal> MeasureAsync(
        NpgsqlConnection connection,
        PostgresConnector connector,
        IReadOnlyList<WalCoverage> coverages,
        string? slot,
        CancellationToken cancellationToken)
    {
        if (await ServerFacts.ScalarAsync<bool>(connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false))
        {
            return new UnarchivedWal { Problem = $"PostgreSQL at {connector.Display} is a standby: what the primary has written, it does not know." };
        }

        ulong systemId = unchecked((ulong)await ServerFacts.ScalarAsync<long>(
            connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()", cancellationToken).ConfigureAwait(false));
        if (coverages.LastOrDefault(coverage => coverage.SystemId == systemId) is not { } last)
        {
            return new UnarchivedWal { Problem = $"PostgreSQL at {connector.Display} is the database cluster {systemId}, of which there is no window." };
        }

        ServerPosition position = await ServerPosition.ReadAsync(connection, cancellationToken).ConfigureAwait(false);
        Lsn flushed = Lsn.Parse(await ServerFacts.ScalarAsync<string>(
            connection, "SELECT pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text", cancellationToken).ConfigureAwait(false));
        DateTimeOffset now = await ServerFacts.ScalarAsync<DateTime>(
            connection, "SELECT pg_catalog.clock_timestamp()", cancellationToken).ConfigureAwait(false);
        Lsn end = last.EndLsn;
        if (!(position with { Lsn = flushed > position.Lsn ? flushed : position.Lsn }).Includes(last.EndTimeline, end))
        {
            return new UnarchivedWal
            {
                Coverage = last,
                Problem = $"PostgreSQL at {connector.Display} is on timeline {position.Timeline} at {position.Lsn}, which does not continue the window's end, " +
                    $"{end} on timeline {last.EndTimeline}: take a new base backup.",
            };
        }

        UnarchivedWal result = new()
        {
            Coverage = last,
            Bytes = Math.Max(0, flushed - end),
            ServerTime = now,
            IsSearched = flushed <= end,
            Acknowledged = await ReadSlotAsync(connection, slot, cancellationToken).ConfigureAwait(false),
        };
        if (result.IsSearched || position.Timeline != last.EndTimeline || last.Items.Count == 0)
        {
            return result;
        }

        try
        {
            (DateTimeOffset? oldest, bool isSearched) = await SearchAsync(connection, last, flushed, cancellationToken).ConfigureAwait(false);
            return result with { OldestCommit = oldest, IsSearched = isSearched };
        }
        catch (Exception e) when (e is PostgresException or OperationCanceledException or SmcException { Code: SmcErrorCode.WalInvalid })
        {
            // How much it is, is known; how old, only within a bound: no privilege, no time, or WAL that was recycled while it was read.
            return result;
        }
    }

    private static async Task<Lsn?> ReadSlotAsync(NpgsqlConnection connection, string? slot, CancellationToken cancellationToken)
    {
        if (slot is null)
        {
            return null;
        }

        using NpgsqlCommand command = new(
            "SELECT restart_lsn::pg_catalog.text FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND slot_type = 'physical'", connection);
        command.Parameters.AddWithValue(NpgsqlDbType.Name, slot);
        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is string lsn ? Lsn.Parse(lsn) : null;
    }

    /// <summary>Looks through the server's own files of WAL for the first commit that the window does not have.</summary>
    private static async Task<(DateTimeOffset? Oldest, bool IsSearched)> SearchAsync(
        NpgsqlConnection connection, WalCoverage coverage, Lsn flushed, CancellationToken cancellationToken)
    {
        int size = coverage.Items[0].SegmentSize;
        // The record that is cut off at the window's end may be a commit, and may have begun a segment earlier.
        WalSegmentName name = WalSegmentName.Containing(coverage.LastRecordEnd, coverage.EndTimeline, size);
        DateTimeOffset? oldest = null;
        WalRecordScanner scanner = new(name.StartLsn(size), name.Timeline, size, coverage.SystemId)
        {
            OnTransaction = transaction => oldest ??= transaction.IsCommit && transaction.EndLsn > coverage.EndLsn ? transaction.Time : null,
        };
        Lsn limit = coverage.EndLsn + SearchedBytes;
        while (oldest is null && scanner.Position < flushed && scanner.Position < limit)
        {
            name = WalSegmentName.Containing(scanner.Position, coverage.EndTimeline, size);
            long offset = scanner.Position - name.StartLsn(size);
            NpgsqlCommand command = new("SELECT pg_catalog.pg_read_binary_file($1, $2, $3, true)", connection)
            {
                Parameters =
                {
                    new NpgsqlParameter<string> { TypedValue = $"{BackupFileRules.Wal}/{name}" },
                    new NpgsqlParameter<long> { TypedValue = offset },
                    new NpgsqlParameter<long> { TypedValue = Math.Min(Math.Min(ReadLength, size - offset), flushed - scanner.Position) },
                },
            };
            await using (command.ConfigureAwait(false))
            {
                if (await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is not byte[] { Length: > 0 } content)
                {
                    return (null, false);
                }

                scanner.Append(content);
            }
        }

        return (oldest, oldest is not null || scanner.Position >= flushed);
    }
}
