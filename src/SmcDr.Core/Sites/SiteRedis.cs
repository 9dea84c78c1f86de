using SmcDr.Core.Redis;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says of Redis to the engine, so that every front end means the same by it.</summary>
public static class SiteRedis
{
    /// <summary>
    /// What opens connections to a server of a region, through the region's cluster where it runs in a workload of it. The password is resolved at each
    /// opening.
    /// </summary>
    public static RedisConnector CreateConnector(this RedisSettings redis, RegionSettings region, SecretResolver secrets)
    {
        ArgumentNullException.ThrowIfNull(redis);
        ArgumentNullException.ThrowIfNull(region);
        ArgumentNullException.ThrowIfNull(secrets);
        SecretReference? password = redis.Password;
        SecretResolver own = secrets.Of(region);
        return new RedisConnector(
            redis.Endpoint,
            new RedisConnectorOptions
            {
                Username = redis.Username,
                Tls = !redis.Tls ? null : new RedisTlsOptions
                {
                    CaFile = redis.CaFile,
                    CertificateFile = redis.CertificateFile,
                    KeyFile = redis.KeyFile,
                    ServerName = redis.ServerName,
                },
                RenamedCommands = redis.RenamedCommands,
                Route = region.CreateRoute(redis.Workload),
            },
            password is null ? null : async token => await own.ResolveAsync(password, token).ConfigureAwait(false));
    }

    /// <summary>What opens connections to the Redis server of a region, or of the primary one where null.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the region has no Redis.</exception>
    public static RedisConnector CreateRedisConnector(this Site site, SecretResolver secrets, string? region = null) =>
        site.GetRedis(region).CreateConnector(site.GetRegion(region), secrets);

    /// <summary>The Redis server of a region, or of the primary one where null.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the region has no Redis.</exception>
    public static RedisSettings GetRedis(this Site site, string? region = null)
    {
        ArgumentNullException.ThrowIfNull(site);
        RegionSettings settings = site.GetRegion(region);
        return settings.Redis ?? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            $"The region '{settings.Name}' of the site '{site.Name}' has no Redis.",
            recommendation: $"Add 'redis' to the region in '{site.Path}', such as: redis: {{ endpoint: redis:6379 }}.",
            target: settings.Name);
    }

    /// <summary>How the Redis server of the primary region is backed up.</summary>
    /// <param name="site">The site.</param>
    /// <param name="method">Another method than the site's.</param>
    /// <param name="preferReplica">Whether a replica is asked, where that is not as the site says.</param>
    public static RedisBackupOptions CreateRedisBackupOptions(
        this Site site, RedisBackupMethod? method = null, bool? preferReplica = null)
    {
        RedisSettings redis = site.GetRedis();
        RedisBackupMethod chosen = method ?? redis.Method;
        return new RedisBackupOptions
        {
            Site = site.Name,
            Method = chosen,
            // What the site says of replicas is for replication; who asks for both at once is told that they do not go together.
            PreferReplica = preferReplica ?? (redis.PreferReplica && chosen == RedisBackupMethod.Replication),
            RdbPath = redis.RdbPath,
        };
    }
}
