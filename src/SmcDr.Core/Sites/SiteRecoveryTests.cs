using Npgsql;
using SmcDr.Core.Certification;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>Tests of a site's recovery.</summary>
public static class SiteRecoveryTests
{
    /// <summary>A test of the primary database: the site's queries are asked, and its objective for the recovery time counts.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where backups and WAL are.</param>
    /// <param name="workDirectory">Where the cluster lies for the while; null = <see cref="SideInstance.DefaultWorkDirectory"/>.</param>
    public static RecoveryTestOptions CreateRecoveryTest(this Site site, Repository repository, string? workDirectory)
    {
        ArgumentNullException.ThrowIfNull(site);
        DatabaseSettings database = site.GetDatabase();
        string? name = new NpgsqlConnectionStringBuilder(database.GetConnectionString()).Database;
        return new RecoveryTestOptions
        {
            Repository = repository,
            Site = site.Name,
            WorkDirectory = workDirectory ?? SideInstance.DefaultWorkDirectory,
            BinDirectory = database.BinDirectory,
            OsUser = database.OsUser,
            Database = string.IsNullOrEmpty(name) ? null : name,
            Checks = site.Checks.Sql,
            Objective = site.Objectives.Database?.Rto,
        };
    }
}
