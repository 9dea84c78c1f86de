using System.Collections.Concurrent;
using SmcDr.Core.FileStores;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems;

/// <summary>Backs up all parts of a system beside each other, so that they lie as near to one instant as can be without stopping it.</summary>
public sealed class SystemBackup
{
    private readonly Site _site;
    private readonly SecretResolver _secrets;
    private readonly SystemBackupOptions _options;
    private readonly IOperationObserver _observer;

    /// <summary>Prepares it; nothing is done yet.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="options">Of what.</param>
    /// <param name="observer">Hears of the work.</param>
    public SystemBackup(Site site, SecretResolver secrets, SystemBackupOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        (_site, _secrets, _options, _observer) = (site, secrets, options, observer);
    }

    /// <summary>What is backed up, in the words of a question.</summary>
    public string Describe() =>
        $"Back up {string.Join(", ", Parts().Select(static part => part.Name))} of the site '{_site.Name}' to {_site.Repository.Location}";

    /// <summary>Backs up. A part that fails is told in the result, and the others go on.</summary>
    /// <param name="ended">Is given each backup when it is complete, copied and locked as the site asks for it.</param>
    /// <param name="cancellationToken">Stops the work: what is not complete then leaves no backup.</param>
    /// <returns>All of it; <see cref="SystemBackupResult.State"/> and <see cref="FindFailure"/> say whether it is whole.</returns>
    public async Task<SystemBackupResult> RunAsync(Func<BackupInfo, Task> ended, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(ended);
        DateTimeOffset start = DateTimeOffset.UtcNow;
        string label = _options.Label ?? $"system {DisplayText.Time(start)}";
        Part[] parts = [.. Parts()];
        if (parts.Length == 0)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The primary region '{_site.PrimaryRegion.Name}' of the site '{_site.Name}' has nothing of what is to be backed up.",
                target: _site.Name);
        }

        Repository repository = await _site.OpenOrCreateRepositoryAsync(_secrets, cancellationToken).ConfigureAwait(false);
        ConcurrentQueue<BackupInfo> backups = [];
        ConcurrentQueue<string> problems = [];
        await Task.WhenAll(parts.Select(async part =>
        {
            try
            {
                BackupInfo backup = await part.RunAsync(repository, label, cancellationToken).ConfigureAwait(false);
                backup = await _site.CopyBackupAsync(_secrets, repository, backup, _observer, cancellationToken).ConfigureAwait(false);
                backups.Enqueue(backup);
                await ended(backup).ConfigureAwait(false);
                await _site.LockNewBackupAsync(repository, backup, _observer, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (!cancellationToken.IsCancellationRequested)
            {
                problems.Enqueue($"{part.Name}: {e.Message} {e.Recommendation}");
                _observer.Warning($"{part.Name} of the site '{_site.Name}': {e.Message}");
            }
        })).ConfigureAwait(false);
        DateTimeOffset[] instants = [.. backups.Select(InstantOf).Order()];
        return new SystemBackupResult
        {
            Site = _site.Name,
            State = backups.IsEmpty ? "Failed"
                : !problems.IsEmpty || backups.Any(static backup => backup.State != nameof(BackupState.Complete)) ? nameof(BackupState.Partial)
                : nameof(BackupState.Complete),
            Label = label,
            StartTime = start,
            Duration = DateTimeOffset.UtcNow - start,
            SkewSeconds = instants.Length < 2 ? null : (instants[^1] - instants[0]).TotalSeconds,
            Backups = [.. backups],
            Problems = [.. problems],
            Repository = repository.Location,
        };
    }

    /// <summary>The failure that a result comes to; null where it is whole.</summary>
    public static SmcException? FindFailure(SystemBackupResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        string[] partial = [.. result.Backups.Where(static backup => backup.State != nameof(BackupState.Complete)).Select(static backup => backup.Id)];
        return result.State == nameof(BackupState.Complete) ? null : new SmcException(
            SmcErrorCode.SystemBackupPartial,
            $"The backup of the system '{result.Site}' is not whole: " +
                (result.Problems.Count > 0 ? string.Join(' ', result.Problems) : $"{string.Join(", ", partial)} lack what could not be read."),
            target: result.Site);
    }

    /// <summary>A base backup is consistent at its end. All else holds what was there at its beginning.</summary>
    private static DateTimeOffset InstantOf(BackupInfo backup) =>
        backup.Component == nameof(Component.Database) ? backup.StopTime ?? backup.StartTime : backup.StartTime;

    private IEnumerable<Part> Parts()
    {
        RegionSettings region = _site.PrimaryRegion;
        bool IsMeant(Component component) => _options.Components.Count == 0 || _options.Components.Contains(component);
        if (region.Database is not null && IsMeant(Component.Database))
        {
            yield return new Part("Database", (repository, label, token) => BaseBackup.RunAsync(
                _site.CreateConnector(_secrets), repository, _site.CreateBackupOptions() with { Label = label }, _observer, token));
        }

        if (region.Redis is not null && IsMeant(Component.Redis))
        {
            yield return new Part("Redis", (repository, label, token) => RedisBackup.RunAsync(
                _site.CreateRedisConnector(_secrets), repository, _site.CreateRedisBackupOptions() with { Label = label }, _observer, token));
        }

        if (region.Kubernetes is not null && IsMeant(Component.Configuration))
        {
            yield return new Part("Configuration", async (repository, label, token) =>
            {
                using KubernetesClient client = await _site.ConnectPatientlyAsync(null, _observer, token).ConfigureAwait(false);
                return await ConfigurationBackup.RunAsync(
                    client, repository, _site.CreateConfigurationBackupOptions([]) with { Label = label }, _observer, token).ConfigureAwait(false);
            });
        }

        foreach (FileStoreSettings store in IsMeant(Component.FileStore) ? _site.FileStores : [])
        {
            yield return new Part($"File store '{store.Name}'", (repository, label, token) => FileStoreBackup.RunAsync(
                store.Name, store.Path, repository, _site.CreateBackupOptions(store) with { Label = label }, _observer, token));
        }
    }

    private sealed record Part(string Name, Func<Repository, string, CancellationToken, Task<BackupInfo>> RunAsync);
}
