using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>The names of a site's databases, for who types one.</summary>
public static class SiteDatabases
{
    private const string Query = "SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1";

    /// <summary>
    /// Lists the databases that the site's server has, and those that logical backups hold: a database that was dropped by mistake is in the
    /// backups alone. A source that does not answer is left out.
    /// </summary>
    /// <param name="site">The site. A server that is reached through a cluster is not asked: a login to that may open a browser.</param>
    /// <param name="secrets">Gives the password and the key.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Each name, in order, and where it was seen.</returns>
    public static async Task<IReadOnlyList<(string Name, string Source)>> ListNamesAsync(
        this Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        Dictionary<string, string> found = new(StringComparer.Ordinal);
        foreach (Task<IReadOnlyList<(string, string)>> source in new[]
        {
            AskServerAsync(site, secrets, cancellationToken),
            AskRepositoryAsync(site, secrets, cancellationToken),
        })
        {
            try
            {
                foreach ((string name, string where) in await source.ConfigureAwait(false))
                {
                    found.TryAdd(name, where);
                }
            }
            catch (SmcException)
            {
                // The other one may answer.
            }
        }

        return [.. found.OrderBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => (pair.Key, pair.Value))];
    }

    private static async Task<IReadOnlyList<(string Name, string Source)>> AskServerAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        if (site.GetRegion(null).Kubernetes is not null)
        {
            return [];
        }

        PostgresConnector connector = site.CreateConnector(secrets);
        List<(string, string)> names = [];
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            NpgsqlCommand command = new(Query, connection);
            await using (command.ConfigureAwait(false))
            {
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                    {
                        names.Add((reader.GetString(0), $"on {connector.Display}"));
                    }
                }
            }
        }

        return names;
    }

    private static async Task<IReadOnlyList<(string Name, string Source)>> AskRepositoryAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        List<(string, string)> names = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            BackupInfo backup = entry.ToInfo(repository.Location);
            names.AddRange(backup.Databases.Select(name => (name, $"in the backup {backup.Id}")));
        }

        return names;
    }
}
