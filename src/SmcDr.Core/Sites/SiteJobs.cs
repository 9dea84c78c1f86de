using System.Security.Cryptography;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Jobs;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Sites;

/// <summary>From a site file to commands that run in the site's cluster, so that every front end means the same by it.</summary>
/// <remarks>
/// The pod is given the site as it is seen from there: the cluster's own account, addresses without port forwarding, and secrets where the cluster puts
/// them. What would be lost with the pod, or is not there, is refused before anything is made.
/// </remarks>
public static class SiteJobs
{
    private const string SecretsDirectory = "/run/smcdr/secrets";

    // A pod's name is a label of 63 characters, and begins with that of its owner and a dash.
    private const int MaximumName = 52;

    /// <summary>The option of <c>smcdr</c> by which it tells everything as lines of JSON.</summary>
    public const string JsonLinesOption = "--json-lines";

    /// <summary>What runs in the cluster of the site's primary region.</summary>
    /// <param name="site">The site.</param>
    /// <param name="command">The command.</param>
    /// <param name="arguments">Its options, as <c>smcdr</c> takes them. No secrets.</param>
    /// <param name="databases">Databases of which each gets a Job of its own; none = one Job without any.</param>
    /// <param name="observer">Hears of what is not done in the cluster.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.SiteInvalid"/>: the site does not say how Jobs run, or names what is not in the pod;
    /// <see cref="SmcErrorCode.SecretUnavailable"/>: a secret is not in the cluster.
    /// </exception>
    public static IReadOnlyList<SiteJob> CreateJobs(
        this Site site, JobCommand command, IReadOnlyList<string> arguments, IReadOnlyList<string> databases, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(arguments);
        ArgumentNullException.ThrowIfNull(databases);
        ArgumentNullException.ThrowIfNull(observer);
        JobSpec spec = CreateSpec(site, command, arguments, observer);
        return databases.Count == 0
            ? [Create(null)]
            : [.. databases.Distinct(StringComparer.Ordinal).Select(Create)];

        SiteJob Create(string? database)
        {
            string[] own = database is null ? [.. arguments] : [.. arguments, .. Option("--database", database)];
            if (command == JobCommand.TestRecovery && ValueOf(arguments, "--work-directory") is null)
            {
                // The image's root is read-only.
                own = [.. own, "--work-directory=/tmp"];
            }

            // A stream without an end is for the cluster to keep alive.
            bool isDeployment = command == JobCommand.WalStream && !own.Contains("--once") && ValueOf(own, "--until") is null;
            return new SiteJob(site, isDeployment, spec with
            {
                // By the stream's name it is found again; of backups there may be several at once.
                Name = isDeployment
                    ? NameOf($"smcdr-wal-stream-{spec.SiteLabel}", "")
                    : NameOf($"smcdr-{string.Join('-', WordsOf(command))}-{spec.SiteLabel}", $"-{RandomNumberGenerator.GetHexString(6, lowercase: true)}"),
                Title = database is null ? spec.Title : $"{spec.Title}, {database}",
                Arguments = [.. WordsOf(command), .. own, "--verbose", JsonLinesOption],
            });
        }
    }

    /// <summary>Runs commands in their clusters, all at once, and follows them to their ends.</summary>
    /// <param name="jobs">The commands.</param>
    /// <param name="cancelOnStop">Whether they end when this is cancelled; else they go on in their clusters.</param>
    /// <param name="onResult">Takes each result when it comes; for one at a time.</param>
    /// <param name="observer">Hears what the commands tell.</param>
    /// <param name="cancellationToken">Stops the following.</param>
    /// <returns>What commands failed with where there are several. That of a single one is thrown.</returns>
    public static async Task<IReadOnlyList<SmcException>> RunAsync<T>(
        IReadOnlyList<SiteJob> jobs, bool cancelOnStop, Func<T, Task> onResult, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(jobs);
        ArgumentNullException.ThrowIfNull(onResult);
        using SemaphoreSlim gate = new(1, 1);
        SmcException?[] failures = await Task.WhenAll(jobs.Select(RunOneAsync)).ConfigureAwait(false);
        SmcException[] failed = [.. failures.OfType<SmcException>()];
        return jobs.Count == 1 && failed.Length == 1 ? throw failed[0] : failed;

        async Task<SmcException?> RunOneAsync(SiteJob job)
        {
            try
            {
                using KubernetesClient client = await job.Site.ConnectPatientlyAsync(null, observer, cancellationToken).ConfigureAwait(false);
                JobOptions options = new() { CancelOnStop = cancelOnStop, Prefix = jobs.Count > 1 ? job.Spec.Title : null };
                await new ClusterJob(client, job.Spec, options, observer).RunAsync<T>(
                    async result =>
                    {
                        await gate.WaitAsync(cancellationToken).ConfigureAwait(false);
                        try
                        {
                            await onResult(result).ConfigureAwait(false);
                        }
                        finally
                        {
                            gate.Release();
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
                return null;
            }
            catch (SmcException e)
            {
                return jobs.Count == 1 ? e : new SmcException(e.Code, $"{job.Spec.Title}: {e.Message}", e, e.Recommendation, e.Target);
            }
        }
    }

    /// <summary>Has the cluster run a WAL stream from now on, and waits until it streams.</summary>
    /// <param name="job">The stream.</param>
    /// <param name="cancelOnStop">Whether a stream that was made for this is removed when this is cancelled.</param>
    /// <param name="timeout">How long it may take until it streams; null = as long as the pod may take to start, and a minute.</param>
    /// <param name="observer">Hears what the stream tells until then.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Where the stream stood when it began to stream.</returns>
    public static async Task<WalStreamStatus> DeployStreamAsync(
        SiteJob job, bool cancelOnStop, TimeSpan? timeout, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(job);
        using KubernetesClient client = await job.Site.ConnectPatientlyAsync(null, observer, cancellationToken).ConfigureAwait(false);
        return await new ClusterJob(client, job.Spec, new JobOptions { CancelOnStop = cancelOnStop }, observer).DeployAsync<WalStreamStatus>(
            static status => status.State is "Streaming" or "Spilling",
            timeout ?? job.Spec.StartTimeout + TimeSpan.FromMinutes(1),
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>An option as one argument: a value that begins with '-' or '@' would be taken for something else.</summary>
    public static IReadOnlyList<string> Option(string name, string value) => value is "" ? [name, value] : [$"{name}={value}"];

    private static string? ValueOf(IReadOnlyList<string> arguments, string option)
    {
        for (int i = 0; i < arguments.Count; i++)
        {
            if (arguments[i].StartsWith(option + "=", StringComparison.Ordinal))
            {
                return arguments[i][(option.Length + 1)..];
            }

            if (arguments[i] == option && i + 1 < arguments.Count)
            {
                return arguments[i + 1];
            }
        }

        return null;
    }

    private static string[] WordsOf(JobCommand command) => command switch
    {
        JobCommand.BackupDatabase => ["backup", "database"],
        JobCommand.BackupRedis => ["backup", "redis"],
        JobCommand.BackupConfiguration => ["backup", "configuration"],
        JobCommand.TestBackup => ["test", "backup"],
        JobCommand.TestRecovery => ["test", "recovery"],
        _ => ["wal", "stream"],
    };

    private static string NameOf(string beginning, string end) =>
        beginning[..Math.Min(beginning.Length, MaximumName - end.Length)].TrimEnd('-') + end;

    private static string LabelOf(string site) =>
        string.Concat(site.Select(static c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '-')).Trim('-');

    private static JobSpec CreateSpec(Site site, JobCommand command, IReadOnlyList<string> arguments, IOperationObserver observer)
    {
        KubernetesSettings cluster = site.GetKubernetes();
        JobSettings settings = cluster.Job ?? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            $"The site '{site.Name}' does not say by which image commands run in its cluster.",
            recommendation: $"Add 'job: {{ image: registry.example.com/smcdr:0.1.0 }}' to the region's kubernetes in '{site.Path}'.",
            target: site.Name);
        Dictionary<string, SortedSet<string>> secrets = new(StringComparer.Ordinal);
        Site inside = Adapt(site, command, arguments, cluster, settings, secrets);
        if (command == JobCommand.BackupConfiguration)
        {
            foreach (FileStoreSettings store in site.GetConfigurationFileStores())
            {
                observer.Warning(
                    $"The file store '{store.Name}' is on this host: 'Backup-SmcFileStore' (or 'smcdr backup filestore') backs it up, and no Job does.");
            }
        }

        return new JobSpec
        {
            Name = "",
            Arguments = [],
            Namespace = cluster.Namespace,
            Title = $"smcdr {string.Join(' ', WordsOf(command))} of {site.Name}",
            Image = settings.Image,
            SiteText = SiteWriter.Write(inside),
            SiteLabel = LabelOf(site.Name),
            ServiceAccount = settings.ServiceAccount,
            ImagePullSecrets = settings.ImagePullSecrets,
            EnvironmentSecrets = settings.EnvironmentSecrets,
            Mounts =
            [
                .. settings.Mounts.Select(static mount => mount.ToMount()),
                .. secrets.OrderBy(static secret => secret.Key, StringComparer.Ordinal).Select(static secret => new JobMount
                {
                    Path = $"{SecretsDirectory}/{secret.Key}", Secret = secret.Key, Keys = [.. secret.Value],
                }),
            ],
            Cpu = settings.Cpu,
            Memory = settings.Memory,
            MemoryLimit = settings.MemoryLimit,
            TimeToLive = settings.TimeToLive,
            StartTimeout = settings.StartTimeout,
        };
    }

    /// <summary>The site as it is valid in the pod: the primary region, and what the command needs of the rest.</summary>
    private static Site Adapt(
        Site site,
        JobCommand command,
        IReadOnlyList<string> arguments,
        KubernetesSettings cluster,
        JobSettings settings,
        Dictionary<string, SortedSet<string>> secrets)
    {
        foreach (string location in new[] { site.Repository.Location }.Concat(site.Repository.Copies))
        {
            if (ObjectStoreLocation.Parse(location) is DirectoryLocation directory)
            {
                RequireClaim(directory.Path, "The repository");
            }
        }

        RegionSettings region = site.PrimaryRegion;
        DatabaseSettings? database = region.Database is not { } server ? null : server with
        {
            Password = command is JobCommand.BackupDatabase or JobCommand.WalStream ? Move(server.Password) : null,
            // They are of the server's host, or of this one.
            DataDirectory = null,
            BinDirectory = null,
            OsUser = null,
        };
        RedisSettings? redis = region.Redis is not { } keys ? null : keys with
        {
            Password = command == JobCommand.BackupRedis ? Move(keys.Password) : null,
            CaFile = Certificate(keys.CaFile, "caFile"),
            CertificateFile = Certificate(keys.CertificateFile, "certificateFile"),
            KeyFile = Certificate(keys.KeyFile, "keyFile"),
            Tls = command == JobCommand.BackupRedis && keys.Tls,
            ServerName = command == JobCommand.BackupRedis ? keys.ServerName : null,
            DataDirectory = null,
            ConfigFile = null,
            Service = null,
            BinDirectory = null,
            OsUser = null,
        };
        if (command == JobCommand.WalStream && (ValueOf(arguments, "--spill-directory") ?? site.WalStream.SpillDirectory) is { Length: > 0 } spill)
        {
            RequireClaim(spill, "The spill directory of the WAL stream");
        }

        return site with
        {
            Repository = site.Repository with { EncryptionKey = MoveKey(site.Repository.EncryptionKey) },
            Regions = new Dictionary<string, RegionSettings>
            {
                [region.Name] = region with
                {
                    // It leads, whatever the file calls it.
                    Role = RegionRole.Primary,
                    Kubernetes = cluster with { Kubeconfig = null, Context = null, PortForward = null, Job = null },
                    Database = database,
                    Redis = redis,
                    Manifests = [],
                },
            },
            WalStream = command == JobCommand.WalStream ? site.WalStream : new WalStreamSettings(),
            // Of these only the names count, for whether each has a backup.
            FileStores = command == JobCommand.TestBackup ? site.FileStores : [],
            Writers = [],
            Dns = null,
            Notifications = [],
            Alerts = new AlertSettings(),
            Contacts = [],
            Schedules = new ScheduleSettings(),
        };

        void RequireClaim(string path, string what)
        {
            if (!settings.Mounts.Any(mount => mount.Claim is not null && PathText.IsWithin(path, mount.Path)))
            {
                throw new SmcException(
                    SmcErrorCode.SiteInvalid,
                    $"{what} is the directory '{path}', which is not in a pod of '{site.Name}', or would be lost with it.",
                    recommendation: $"Add 'mounts: [ {{ claim: NAME, path: {path} }} ]' to the region's kubernetes.job in '{site.Path}', or use S3.",
                    target: path);
            }
        }

        string? Certificate(string? path, string key) => path is null || command != JobCommand.BackupRedis ? null
            : settings.Mounts.Any(mount => PathText.IsWithin(path, mount.Path)) ? path
            : throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The file '{path}', which redis.{key} names, is in none of the directories that pods of '{site.Name}' have.",
                recommendation: $"Add 'mounts: [ {{ secret: NAME, path: {Path.GetDirectoryName(path)} }} ]' to the region's kubernetes.job in '{site.Path}'.",
                target: path);

        KeyReference? MoveKey(KeyReference? key) => key?.Secret is { } secret ? KeyReference.Parse(Move(secret)!.ToString()) : key;

        SecretReference? Move(SecretReference? secret)
        {
            switch (secret?.Scheme)
            {
                case SecretScheme.Kubernetes when secret.Name.Split('/', 3) is [var @namespace, var name, var key] && @namespace == cluster.Namespace:
                    // The kubelet brings it, so that the pod's account needs no right to read Secrets.
                    if (!secrets.TryGetValue(name, out SortedSet<string>? wanted))
                    {
                        secrets.Add(name, wanted = new SortedSet<string>(StringComparer.Ordinal));
                    }

                    wanted.Add(key);
                    return SecretReference.Parse($"file:{SecretsDirectory}/{name}/{key}");
                case SecretScheme.Vault:
                    throw NotInCluster(secret, $"Put it into a Secret of the namespace '{cluster.Namespace}' and name it as k8s:{cluster.Namespace}/NAME/KEY.");
                case SecretScheme.Environment when settings.EnvironmentSecrets.Count == 0:
                    throw NotInCluster(secret, "Name the Secret that has it among its keys by 'environmentSecrets: [ NAME ]' in the region's kubernetes.job.");
                case SecretScheme.File when !settings.Mounts.Any(mount => mount.Secret is not null && PathText.IsWithin(secret.Name, mount.Path)):
                    throw NotInCluster(
                        secret, $"Add 'mounts: [ {{ secret: NAME, path: {Path.GetDirectoryName(secret.Name)} }} ]' to the region's kubernetes.job.");
                default:
                    // One of another namespace is asked of the cluster, by the pod's account.
                    return secret;
            }
        }

        SmcException NotInCluster(SecretReference secret, string recommendation) => new(
            SmcErrorCode.SecretUnavailable,
            $"The secret '{secret}' of the site '{site.Name}' is on this host, and pods of the cluster do not have it.",
            recommendation: recommendation,
            target: secret.ToString());
    }
}
