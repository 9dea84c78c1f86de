using System.Data.Common;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says to connections.</summary>
public static class SiteConnectors
{
    /// <summary>
    /// What opens connections to a database of a region, through the region's cluster where it runs in a workload of it. The password is resolved at
    /// each opening.
    /// </summary>
    public static PostgresConnector CreateConnector(this DatabaseSettings database, RegionSettings region, SecretResolver secrets)
    {
        ArgumentNullException.ThrowIfNull(database);
        ArgumentNullException.ThrowIfNull(region);
        ArgumentNullException.ThrowIfNull(secrets);
        return new PostgresConnector(database.GetConnectionString(), database.GetPassword(region, secrets), region.CreateRoute(database.Workload));
    }

    /// <summary>Gives the password of a database of a region; null where the site names none.</summary>
    internal static Func<CancellationToken, ValueTask<string?>>? GetPassword(
        this DatabaseSettings database, RegionSettings region, SecretResolver secrets)
    {
        SecretReference? password = database.Password;
        SecretResolver own = secrets.Of(region);
        return password is null ? null : async token => await own.ResolveAsync(password, token).ConfigureAwait(false);
    }

    /// <summary>What opens connections to the standby of the primary region's database: where it says nothing else, as to the database itself.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the site names no standby.</exception>
    public static PostgresConnector CreateStandbyConnector(this Site site, SecretResolver secrets)
    {
        DatabaseSettings database = site.GetDatabase();
        if (database.Standby is not { } standby)
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The site '{site.Name}' does not say where its database has a standby.",
                recommendation: $"Add 'standby: \"Host=...\"' to the database in '{site.Path}'.",
                target: site.Name);
        }

        // DbConnectionStringBuilder: Npgsql's own cannot say which keys were written.
        DbConnectionStringBuilder all = new() { ConnectionString = database.GetConnectionString() };
        DbConnectionStringBuilder written = new() { ConnectionString = standby };
        foreach (string key in written.Keys)
        {
            all[key] = written[key];
        }

        return (database with { Connection = all.ConnectionString, Port = null }).CreateConnector(site.PrimaryRegion, secrets);
    }

    /// <summary>What opens connections to the database of a region, or of the primary one where null.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the region has no database.</exception>
    public static PostgresConnector CreateConnector(this Site site, SecretResolver secrets, string? region = null) =>
        site.GetDatabase(region).CreateConnector(site.GetRegion(region), secrets);

    /// <summary>The database of a region, or of the primary one where null.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the region has no database.</exception>
    public static DatabaseSettings GetDatabase(this Site site, string? region = null)
    {
        ArgumentNullException.ThrowIfNull(site);
        RegionSettings settings = site.GetRegion(region);
        return settings.Database ?? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            $"The region '{settings.Name}' of the site '{site.Name}' has no database.",
            recommendation: $"Add 'database' to the region in '{site.Path}'.",
            target: settings.Name);
    }
}
