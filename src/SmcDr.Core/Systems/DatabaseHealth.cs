using System.Globalization;
using System.Runtime.CompilerServices;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems;

/// <summary>Whether the database serves: it can be written to, has what the site's queries look for, and those that follow it keep up.</summary>
internal sealed class DatabaseHealth(Site site, SecretResolver secrets, TimeProvider clock)
{
    private static readonly TimeSpan s_queryTime = TimeSpan.FromSeconds(30);

    private readonly PostgresConnector _connector = site.CreateConnector(secrets);

    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun run = new(_connector.Display, clock);
        CheckResult serves = await run.CheckAsync("Database", () => CheckServerAsync(cancellationToken), _connector).ConfigureAwait(false);
        yield return serves;
        bool isUp = serves.Outcome != CheckOutcomes.Failed;
        yield return isUp
            ? await run.CheckAsync("DatabaseReplication", () => CheckReplicationAsync(cancellationToken), _connector).ConfigureAwait(false)
            : run.Skip("DatabaseReplication", "Database did not pass.");
        foreach (SqlCheck check in site.Checks.Sql)
        {
            yield return isUp
                ? await run.CheckAsync(
                    "Sql",
                    () => SqlQuestion.AskAsync(
                        _connector,
                        check,
                        s_queryTime,
                        "Find out what became of the data; Find-SmcTransaction shows what was removed, and Restore-SmcDatabase goes back to before it.",
                        cancellationToken),
                    _connector).ConfigureAwait(false)
                : run.Skip("Sql", "Database did not pass.");
        }
    }

    private async Task<CheckFinding> CheckServerAsync(CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            using NpgsqlCommand command = new(
                "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only') = 'on', " +
                "pg_catalog.current_setting('server_version')",
                connection);
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return reader.GetBoolean(0)
                    ? CheckFinding.Failed(
                        "The server is a standby, or still replays: it takes no writes.", "Wait until it is through, or promote it where it is to serve.")
                    : reader.GetBoolean(1)
                        ? CheckFinding.Failed(
                            "Transactions are read-only by default.", "Find out who set default_transaction_read_only, and reset it.")
                        : CheckFinding.Passed($"PostgreSQL {reader.GetString(2)} takes writes.");
            }
        }
    }

    private async Task<CheckFinding> CheckReplicationAsync(CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            using NpgsqlCommand command = new(
                "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication WHERE state = 'streaming'), " +
                "(SELECT pg_catalog.string_agg(application_name || ' (' || state || ')', ', ') FROM pg_catalog.pg_stat_replication " +
                "WHERE state <> 'streaming'), " +
                "(SELECT pg_catalog.string_agg(slot_name, ', ') FROM pg_catalog.pg_replication_slots WHERE NOT active)",
                connection);
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                long streaming = reader.GetInt64(0);
                string? behind = reader.IsDBNull(1) ? null : reader.GetString(1);
                string? idle = reader.IsDBNull(2) ? null : reader.GetString(2);
                string message = string.Create(CultureInfo.InvariantCulture, $"{streaming} receive the server's log.");
                return behind is null && idle is null
                    ? CheckFinding.Passed(message)
                    : CheckFinding.Warning(
                        $"{message}{(behind is null ? "" : $" Not in step: {behind}.")}" +
                            (idle is null ? "" : $" Nobody uses the slots {idle}, for which the server keeps its log."),
                        "Start who is missing (standbys; Start-SmcWalStream or 'smcdr wal stream'), or drop a slot that nobody will use any more.");
            }
        }
    }
}
