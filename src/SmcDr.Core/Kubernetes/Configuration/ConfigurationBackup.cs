using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Backs up the configuration of namespaces: a document for each object, as somebody would have written it, and what of the cluster they need. Extracted, the
/// documents are for <c>kubectl apply</c>.
/// </summary>
public static class ConfigurationBackup
{
    internal const string Kind = "Full";
    private const string Activity = "Configuration backup";
    private const int FileMode = 0x180;
    private const int ProgressEvery = 100;

    /// <summary>Takes a backup.</summary>
    /// <param name="client">The cluster.</param>
    /// <param name="repository">Where the backup goes.</param>
    /// <param name="options">Of what, and how.</param>
    /// <param name="observer">Told of progress, and warned of what cannot be read.</param>
    /// <param name="cancellationToken">Stops the work: what was stored of it is removed.</param>
    /// <returns>The backup. Its state is <c>Partial</c> where a kind could not be read.</returns>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.SecretsUnprotected"/>: the repository is not encrypted. A namespace is not there, the cluster cannot be asked, or the repository
    /// cannot be written.
    /// </exception>
    public static async Task<BackupInfo> RunAsync(
        KubernetesClient client,
        Repository repository,
        ConfigurationBackupOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        if (!repository.IsEncrypted && !options.SkipSecrets)
        {
            throw new SmcException(
                SmcErrorCode.SecretsUnprotected,
                $"The repository at {repository.Location} is not encrypted, and whoever can read it would read the Secrets of {Names(options.Namespaces)}. Nothing was stored.",
                target: repository.Location);
        }

        string[] namespaces = [.. options.Namespaces.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        try
        {
            observer.Progress(new OperationProgress(Activity, $"Asking the cluster '{client.Access.Display}'", Unit: ProgressUnit.Items));
            string version = await client.GetVersionAsync(cancellationToken).ConfigureAwait(false);
            BackupWriter writer = await repository.BeginBackupAsync(
                Component.Configuration, Kind, options.Label, options.Site, null, options.Writer, cancellationToken).ConfigureAwait(false);
            await using (writer.ConfigureAwait(false))
            {
                ConfigurationCollector collector = new(client, namespaces, !options.SkipSecrets, observer);
                await StoreAsync(collector, writer, observer, cancellationToken).ConfigureAwait(false);
                ConfigurationBackupDetails details = new()
                {
                    Namespaces = namespaces,
                    Cluster = client.Access.Display,
                    ServerVersion = version,
                    WithoutSecrets = options.SkipSecrets,
                    Kinds = Sorted(collector.Counts),
                    Skipped = Sorted(collector.Skipped),
                    Missing = collector.Missing,
                    HelmReleases = collector.Releases,
                };
                BackupHeader header = await writer.CompleteAsync(
                    Kind, header => header with { StopTime = DateTimeOffset.UtcNow, Configuration = details }, cancellationToken).ConfigureAwait(false);
                observer.Verbose(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The backup '{header.Id}' holds {header.FileCount} objects of {details.Kinds.Count} kinds and {details.HelmReleases.Count} releases of Helm."));
                return repository.Describe(header);
            }
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "", Unit: ProgressUnit.Items) { IsCompleted = true });
        }
    }

    private static async Task StoreAsync(
        ConfigurationCollector collector, BackupWriter writer, IOperationObserver observer, CancellationToken cancellationToken)
    {
        long count = 0;
        PackLane lane = writer.OpenLane();
        await using (lane.ConfigureAwait(false))
        {
            await foreach (CollectedObject each in collector.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                await lane.AddSmallFileAsync(
                    new ManifestEntry { Kind = ManifestEntryKind.File, Path = each.Path, Mode = FileMode },
                    YamlText.Write(each.Item.Raw),
                    cancellationToken).ConfigureAwait(false);
                if (++count % ProgressEvery == 0)
                {
                    observer.Progress(new OperationProgress(Activity, each.Resource.FullName, count, Unit: ProgressUnit.Items));
                }
            }

            await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static SortedDictionary<string, long> Sorted(IReadOnlyDictionary<string, long> counts) =>
        new(counts.ToDictionary(), StringComparer.Ordinal);

    internal static string Names(IReadOnlyCollection<string> namespaces) =>
        (namespaces.Count == 1 ? "the namespace " : "the namespaces ") + string.Join(", ", namespaces.Select(static name => $"'{name}'"));
}
