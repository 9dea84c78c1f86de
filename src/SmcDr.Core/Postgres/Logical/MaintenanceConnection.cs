using Npgsql;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>A connection from which databases are listed, made, renamed and dropped: to any database but the one at hand.</summary>
internal static class MaintenanceConnection
{
    /// <summary>Opens it: to <c>postgres</c>, else to <c>template1</c>, else to the connection string's own.</summary>
    /// <param name="connector">The server.</param>
    /// <param name="except">The database that is to be worked on; null = none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<NpgsqlConnection> OpenAsync(PostgresConnector connector, string? except, CancellationToken cancellationToken)
    {
        SmcException? first = null;
        foreach (string database in new[] { "postgres", "template1", connector.Database ?? connector.Username ?? "postgres" }
            .Distinct(StringComparer.Ordinal)
            .Where(database => database != except))
        {
            try
            {
                return await connector.WithDatabase(database).OpenAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.SettingUnsuitable or SmcErrorCode.PrivilegeMissing or SmcErrorCode.AuthenticationFailed)
            {
                // There is no such database, it is damaged, or pg_hba.conf keeps this user out of it: another will do.
                first ??= e;
            }
        }

        throw first ?? new SmcException(
            SmcErrorCode.ServerUnavailable, $"No database at {connector.Display} takes a connection.", target: connector.Display);
    }
}
