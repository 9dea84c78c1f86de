using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says of Kubernetes to backups of its configuration, so that every front end means the same by it.</summary>
public static class SiteConfiguration
{
    /// <summary>An API server that is started anew is away for a minute or two, and thousands of objects are not to be begun again for it.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

    /// <summary>How the configuration of the primary region is backed up.</summary>
    /// <param name="site">The site.</param>
    /// <param name="namespaces">The namespaces; none = the one that the site names.</param>
    public static ConfigurationBackupOptions CreateConfigurationBackupOptions(this Site site, IReadOnlyList<string> namespaces)
    {
        ArgumentNullException.ThrowIfNull(namespaces);
        return new ConfigurationBackupOptions
        {
            Site = site.Name,
            Namespaces = namespaces.Count > 0 ? namespaces : [site.GetKubernetes().Namespace],
        };
    }

    /// <summary>What is backed up, in the words of a question.</summary>
    public static string Describe(this ConfigurationBackupOptions options, KubernetesClient client)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(client);
        return $"Configuration of {ConfigurationBackup.Names(options.Namespaces)} in the cluster '{client.Access.Display}'{(options.SkipSecrets ? " without Secrets" : "")}";
    }

    /// <summary>A client of the cluster of a region, or of the primary one where null, that is patient. Nothing is sent yet.</summary>
    public static Task<KubernetesClient> ConnectPatientlyAsync(
        this Site site, string? region, IOperationObserver observer, CancellationToken cancellationToken)
    {
        KubernetesSettings settings = site.GetKubernetes(region);
        return KubernetesClient.CreateAsync(
            new KubeconfigOptions { Path = settings.Kubeconfig, Context = settings.Context, Namespace = settings.Namespace },
            new KubernetesClientOptions { RetryTime = s_patience },
            observer,
            cancellationToken);
    }

    /// <summary>The file stores that belong to the configuration.</summary>
    public static IReadOnlyList<FileStoreSettings> GetConfigurationFileStores(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return [.. site.FileStores.Where(static store => store.WithConfiguration)];
    }

    /// <summary>The backup of the site's configuration that is meant: the one of an id, or the newest with the site's namespace and its Secrets.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: there is none.</exception>
    public static async Task<BackupReader> OpenConfigurationBackupAsync(
        this Site site, Repository repository, string? id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        id ??= (await site.FindConfigurationBackupAsync(repository, null, NullObserver.Instance, cancellationToken).ConfigureAwait(false))?.Id;
        return await repository.OpenBackupAsync(
            Component.Configuration,
            id ?? throw new SmcException(
                SmcErrorCode.BackupNotFound,
                $"There is no backup of the configuration of the site '{site.Name}' in {repository.Location}.",
                recommendation: "'smcdr backup configuration' takes one; one of another site is restored by its id.",
                target: repository.Location),
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// The newest backup that the site's configuration can be restored from. Somebody may have backed up another namespace, or have left the Secrets out, and
    /// the system does not come back from that: such a backup is meant only where there is no other.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where the backups are.</param>
    /// <param name="before">The instant by which it must have ended; null = the newest of all.</param>
    /// <param name="observer">Is told what the backup lacks.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal static async Task<BackupHeader?> FindConfigurationBackupAsync(
        this Site site, Repository repository, DateTimeOffset? before, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string? main = site.PrimaryRegion.Kubernetes?.Namespace;
        BackupHeader? newest = await FindAsync(static _ => true).ConfigureAwait(false);
        if (newest is null || IsWhole(newest))
        {
            return newest;
        }

        BackupHeader chosen = await FindAsync(IsWhole).ConfigureAwait(false) ?? await FindAsync(HasMain).ConfigureAwait(false) ?? newest;
        if (chosen.Id != newest.Id)
        {
            observer.Warning($"The backup '{newest.Id}' of the configuration is newer, but lacks {Lack(newest)}: '{chosen.Id}' is taken.");
        }

        if (!IsWhole(chosen))
        {
            observer.Warning($"The backup '{chosen.Id}' of the configuration lacks {Lack(chosen)}, and no other has more.");
        }

        return chosen;

        // Several sites may share a repository.
        Task<BackupHeader?> FindAsync(Func<BackupHeader, bool> isMeant) => repository.FindNewestAsync(
            Component.Configuration,
            header => header.Configuration is not null && header.Site == site.Name && !(header.EndTime > before) && isMeant(header),
            cancellationToken);

        bool HasMain(BackupHeader header) => main is null || header.Configuration!.Namespaces.Contains(main);

        bool IsWhole(BackupHeader header) => HasMain(header) && !header.Configuration!.WithoutSecrets;

        string Lack(BackupHeader header) => HasMain(header) ? "the Secrets" : $"the namespace '{main}'";
    }

    /// <summary>Which namespaces of a backup become which others.</summary>
    /// <param name="site">The site.</param>
    /// <param name="reader">The backup.</param>
    /// <param name="region">The region that it goes to; null = the primary one.</param>
    /// <param name="given">What the caller says of it.</param>
    /// <param name="target">The namespace that the backup's only one becomes; null = nobody says.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: a target is given, and the backup has several namespaces.</exception>
    public static IReadOnlyDictionary<string, string> MapNamespaces(
        this Site site, BackupReader reader, string? region, IReadOnlyDictionary<string, string> given, string? target)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(given);
        IReadOnlyList<string> namespaces = reader.Header.Configuration?.Namespaces ?? [];
        if (target is not null)
        {
            return namespaces.Count == 1 && given.Count == 0
                ? new Dictionary<string, string> { [namespaces[0]] = target }
                : throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    given.Count > 0
                        ? "A target namespace and a mapping of namespaces are two answers to one question."
                        : $"The backup '{reader.Header.Id}' has the namespaces {string.Join(", ", namespaces)}, and one target would mix them.",
                    recommendation: "Give -NamespaceMapping @{ from = 'to' } (--namespace-mapping from=to) alone.");
        }

        // The site says what the system's namespace is called in each region.
        string? from = site.PrimaryRegion.Kubernetes?.Namespace;
        string? to = region is null ? null : site.GetRegion(region).Kubernetes?.Namespace;
        return given.Count == 0 && from is not null && to is not null && from != to && namespaces.Contains(from)
            ? new Dictionary<string, string> { [from] = to }
            : given;
    }

    /// <summary>What a restore is about, in a sentence to be asked for.</summary>
    public static string DescribeConfigurationRestore(BackupReader reader, KubernetesClient client, ConfigurationRestoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(options);
        BackupHeader header = reader.Header;
        string[] namespaces =
        [
            .. (header.Configuration?.Namespaces ?? []).Select(name =>
                options.NamespaceMapping.TryGetValue(name, out string? mapped) && mapped != name ? $"'{name}' as '{mapped}'" : $"'{name}'"),
        ];
        string which = options.Filter.IsEmpty ? FormattableString.Invariant($"the {header.FileCount} objects") : "what was chosen";
        return $"Restore {which} of the backup '{header.Id}' of {string.Join(", ", namespaces)} to the cluster '{client.Access.Display}'; "
            + (options.Force ? "what is there and differs is changed back, or deleted and made again." : "what is there and differs is changed back.");
    }
}
