using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

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

    /// <summary>The backup of Redis that is meant: the one of an id, or the newest of the site.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where it is.</param>
    /// <param name="id">The backup's id; null for the newest.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: there is none.</exception>
    public static async Task<BackupReader> OpenRedisBackupAsync(
        this Site site, Repository repository, string? id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        if (id is null)
        {
            await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Redis, cancellationToken).ConfigureAwait(false))
            {
                // Several sites may share a repository, and their servers have nothing else to tell them apart.
                id = entry.Header is { } header && (header.Site ?? site.Name) == site.Name ? header.Id : id;
            }
        }

        return await repository.OpenBackupAsync(
            Component.Redis,
            id ?? throw new SmcException(
                SmcErrorCode.BackupNotFound,
                $"There is no complete backup of Redis of the site '{site.Name}' in {repository.Location}.",
                recommendation: "Run Get-SmcBackup -Component Redis (or 'smcdr backup list --component redis') to see which backups there are, and name one.",
                target: repository.Location),
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The restore of Redis that is asked for.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the site's password.</param>
    /// <param name="repository">Where the backup is.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="request">Which restore is wanted.</param>
    /// <param name="observer">Hears which way was chosen, and why.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IRedisRestore> CreateRedisRestoreAsync(
        this Site site,
        SecretResolver secrets,
        Repository repository,
        BackupReader backup,
        RedisRestoreRequest request,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(observer);
        RedisSettings redis = site.GetRedis();
        RedisConnector connector = CreateConnector(site, request, secrets);
        if (request.Method == RedisRestoreMethod.Offline ||
            (request.Method is null && request.Endpoint is null && (redis.DataDirectory ?? redis.Workload) is not null &&
                !await IsRunningAsync(connector, observer, cancellationToken).ConfigureAwait(false)))
        {
            return redis.Workload is { } workload && request.Endpoint is null
                ? CreatePodRestore(site, WorkloadName.Parse(workload), connector, repository, backup, request, observer)
                : CreateOfflineRestore(redis, connector, repository, backup, request);
        }

        return new RedisOnlineRestore(connector, backup, request.Options);
    }

    private static RedisConnector CreateConnector(Site site, RedisRestoreRequest request, SecretResolver secrets)
    {
        RedisSettings redis = site.GetRedis();
        RedisSettings settings = redis with { Tls = request.Tls ?? redis.Tls };
        if (request.Endpoint is not null)
        {
            // Neither the site's password nor its workload is for a server that it does not name.
            settings = settings with { Endpoint = request.Endpoint, Username = null, Password = null, Workload = null };
        }

        RedisConnector connector = settings.CreateConnector(site.GetRegion(null), secrets);
        return request.Username is null && request.Password is null ? connector : connector.WithUser(request.Username, request.Password);
    }

    private static async Task<bool> IsRunningAsync(RedisConnector connector, IOperationObserver observer, CancellationToken cancellationToken)
    {
        try
        {
            RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await connection.DisposeAsync().ConfigureAwait(false);
            return true;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ServerUnavailable)
        {
            observer.Verbose($"{e.Message} So the data is to be put in place for it to be started with.");
            return false;
        }
    }

    private static RedisOfflineRestore CreateOfflineRestore(
        RedisSettings redis, RedisConnector connector, Repository repository, BackupReader backup, RedisRestoreRequest request)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                "Redis is restored by its files on Linux and macOS only.",
                recommendation: "Start the server and restore with the method Online.",
                target: connector.Display);
        }

        if (request.Endpoint is not null)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"Redis at {connector.Display} is not known to be on this host, and its files are put in place on their own host.",
                recommendation: "Run the command on the server's host with a site file that names its dataDirectory, or restore with the method Online.",
                target: connector.Display);
        }

        ThrowIfPartial(connector, request);
        return new RedisOfflineRestore(connector, repository, backup, new RedisOfflineOptions
        {
            DataDirectory = redis.DataDirectory,
            ConfigFile = redis.ConfigFile,
            Service = redis.Service,
            BinDirectory = redis.BinDirectory,
            OsUser = redis.OsUser,
            SampleSize = request.Options.SampleSize,
        });
    }

    private static RedisPodRestore CreatePodRestore(
        Site site,
        WorkloadName workload,
        RedisConnector connector,
        Repository repository,
        BackupReader backup,
        RedisRestoreRequest request,
        IOperationObserver observer)
    {
        ThrowIfPartial(connector, request);
        KubernetesSettings settings = site.GetKubernetes();
        return new RedisPodRestore(connector, repository, backup, new RedisPodRestoreOptions
        {
            Connect = token => settings.ConnectAsync(observer, token),
            Namespace = settings.Namespace,
            Workload = workload,
            SampleSize = request.Options.SampleSize,
        });
    }

    private static void ThrowIfPartial(RedisConnector connector, RedisRestoreRequest request)
    {
        if (request.Options is { Empty: true } or { Databases.Count: > 0 } or { KeyPatterns.Count: > 0 })
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "By its files Redis is restored as a whole: the method Offline chooses neither databases nor keys, and what there was is always moved aside.",
                recommendation: "Leave these options out, or start the server and restore with the method Online.",
                target: connector.Display);
        }
    }
}
