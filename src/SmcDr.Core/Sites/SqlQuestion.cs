using Npgsql;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Sites;

/// <summary>Asks a server what a <see cref="SqlCheck"/> wants to know.</summary>
internal static class SqlQuestion
{
    /// <summary>Asks in a read-only transaction.</summary>
    /// <param name="server">The server.</param>
    /// <param name="check">The query and what it must give.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="recommendation">What to do where it gives something else.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<CheckFinding> AskAsync(
        PostgresConnector server, SqlCheck check, TimeSpan timeout, string recommendation, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
            await using (transaction.ConfigureAwait(false))
            {
                // Our own sessions have no search path; queries of the site are written for the one that the database gives.
                using NpgsqlCommand command = new("SET TRANSACTION READ ONLY; RESET search_path", connection);
                await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                command.CommandText = check.Query;
                command.CommandTimeout = (int)timeout.TotalSeconds;
                object? value;
                try
                {
                    value = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (PostgresException e)
                {
                    return CheckFinding.Failed(
                        $"{check.Query}: {e.MessageText} ({e.SqlState}).",
                        "Correct the query under checks in the site file; or find out what became of the table that it names.");
                }

                string text = Expectation.TextOf(value) ?? "NULL";
                return Expectation.Parse(check.Expect).IsMetBy(value)
                    ? CheckFinding.Passed($"{check.Query} gives {text}, which is {check.Expect}.")
                    : CheckFinding.Failed($"{check.Query} gives {text}, which is not {check.Expect}.", recommendation);
            }
        }
    }
}
