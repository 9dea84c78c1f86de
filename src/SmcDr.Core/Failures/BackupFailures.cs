using System.Globalization;
using SmcDr.Core.Incidents;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Failures;

/// <summary>
/// Notes why a backup failed, so that in the morning it can be asked of the repository from anywhere, and not of the log of a host, a pod or an automation
/// account that may be gone. What the repository does not take is noted in a directory of the account.
/// </summary>
public static class BackupFailures
{
    // A failure of each hour for a month. Older ones go when another is noted.
    private const int MostNotes = 750;
    private static readonly TimeSpan s_life = TimeSpan.FromDays(90);

    // A backup writes as it goes; where nothing came for so long it is taken for dead. Nothing depends on that but what is shown.
    private static readonly TimeSpan s_silence = TimeSpan.FromHours(1);

    /// <summary>Notes a failure. Where that fails as well it is told, and is no error: the command has one already.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the key of an encrypted repository.</param>
    /// <param name="component">What was to be backed up; null = several.</param>
    /// <param name="command">The command with its arguments. What looks like a password is hidden.</param>
    /// <param name="startTime">When it began, in UTC.</param>
    /// <param name="error">What went wrong.</param>
    /// <param name="stateDirectory">Where this account keeps state; null = nowhere.</param>
    /// <param name="observer">Hears where nothing can be noted.</param>
    public static async Task NoteAsync(
        Site site,
        SecretResolver secrets,
        Component? component,
        string command,
        DateTimeOffset startTime,
        SmcException error,
        string? stateDirectory,
        IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(error);
        ArgumentNullException.ThrowIfNull(observer);
        BackupFailureNote note = new()
        {
            Site = site.Name,
            Component = component,
            StartTime = startTime,
            Time = DateTimeOffset.UtcNow,
            Command = SiteIncidents.Clean(command),
            Problem = SiteIncidents.Clean(error.Message),
            Recommendation = SiteIncidents.Clean(error.Recommendation),
            ErrorId = error.ErrorId,
            User = Environment.UserName,
            Host = Environment.MachineName,
        };
        if (await BestEffort.TryAsync(token => NoteInRepositoryAsync(site, secrets, note, token)).ConfigureAwait(false) is not { } problem)
        {
            return;
        }

        if (stateDirectory is null)
        {
            observer.Verbose($"This failure is noted nowhere: {problem}");
        }
        else if (await BestEffort.TryAsync(token => NoteOnHostAsync(stateDirectory, note, token)).ConfigureAwait(false) is { } second)
        {
            observer.Verbose($"This failure is noted nowhere: {problem} {second}");
        }
    }

    /// <summary>The failures of a site's backups, newest first, and the backups that were begun and never finished.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the key of an encrypted repository.</param>
    /// <param name="query">Which are meant.</param>
    /// <param name="observer">Is warned of what cannot be read: a repository that is away is a reason to ask.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<BackupFailure>> ListAsync(
        Site site, SecretResolver secrets, BackupFailureQuery query, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(query);
        ArgumentNullException.ThrowIfNull(observer);
        List<(BackupFailureNote Note, string NotedIn)> notes = [];
        List<BackupEntry> backups = [];
        List<BackupFailure> unfinished = [];
        if (query.StateDirectory is { } state && Directory.Exists(DirectoryOf(state)))
        {
            IObjectStore store = OpenOnHost(state);
            await using (store.ConfigureAwait(false))
            {
                await foreach (ObjectInfo info in store.ListAsync(RepositoryKeys.Failures(site.Name), cancellationToken).ConfigureAwait(false))
                {
                    await AddAsync(notes, DirectoryOf(state), info.Key, observer, () => Repository.TryReadDocumentAsync(
                        store, info.Key, FailuresJson.Default.BackupFailureNote, cancellationToken)).ConfigureAwait(false);
                }
            }
        }

        try
        {
            Repository repository = await site.OpenForReadingAsync(secrets, observer, cancellationToken).ConfigureAwait(false);
            await foreach (ObjectInfo info in repository.ListAsync(RepositoryKeys.Failures(site.Name), cancellationToken).ConfigureAwait(false))
            {
                await AddAsync(notes, repository.Location, info.Key, observer, () => repository.TryReadDocumentAsync(
                    info.Key, FailuresJson.Default.BackupFailureNote, cancellationToken)).ConfigureAwait(false);
            }

            foreach (Component component in query.Components.Count > 0 ? query.Components : Enum.GetValues<Component>())
            {
                await foreach (BackupEntry entry in repository.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
                {
                    backups.Add(entry);
                }
            }

            foreach (BackupEntry entry in backups.Where(entry => IsUnfinished(entry, site.Name) && !notes.Any(one => IsOf(one.Note, entry))))
            {
                if (await FindSilenceAsync(repository, entry, cancellationToken).ConfigureAwait(false) is { } last)
                {
                    unfinished.Add(ToUnfinished(entry, site.Name, last, repository.Location, NextOf(backups, site.Name, entry.Component, entry.Start!.StartTime)));
                }
            }
        }
        catch (SmcException e) when (e.Code != SmcErrorCode.OperationStopped)
        {
            observer.Warning($"What failed is noted in the repository, which cannot be read: {e.Message} {e.Recommendation}");
        }

        return
        [
            .. notes
                .Where(one => query.Components.Count == 0 || (one.Note.Component is { } component && query.Components.Contains(component)))
                .Select(one => ToFailure(one.Note, one.NotedIn, backups))
                .Concat(unfinished)
                .Where(failure => query.After is not { } after || failure.Time > after)
                .OrderByDescending(static failure => failure.Time)
                .Take(query.First),
        ];
    }

    private static async Task NoteInRepositoryAsync(Site site, SecretResolver secrets, BackupFailureNote note, CancellationToken cancellationToken)
    {
        Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        await using (repository.Store.ConfigureAwait(false))
        {
            await PutAsync(repository.Store, note with { RepositoryId = repository.Id }, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task NoteOnHostAsync(string stateDirectory, BackupFailureNote note, CancellationToken cancellationToken)
    {
        // Its directory is this account's alone, as those of every store are: what failed, and where, is nobody else's business on this host.
        IObjectStore store = OpenOnHost(stateDirectory);
        await using (store.ConfigureAwait(false))
        {
            await PutAsync(store, note, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task PutAsync(IObjectStore store, BackupFailureNote note, CancellationToken cancellationToken)
    {
        string folder = RepositoryKeys.Failures(note.Site);
        await Repository.PutDocumentAsync(
            store, folder + RepositoryKeys.NewStamp(note.Time), note, FailuresJson.Default.BackupFailureNote, cancellationToken).ConfigureAwait(false);

        List<ObjectInfo> all = [];
        await foreach (ObjectInfo info in store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            all.Add(info);
        }

        string[] old =
        [
            .. all.OrderByDescending(static info => info.Key, StringComparer.Ordinal)
                .Where((info, i) => i >= MostNotes || info.LastModified < note.Time - s_life)
                .Select(static info => info.Key),
        ];
        if (old.Length > 0)
        {
            await store.DiscardAsync(old, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task AddAsync(
        List<(BackupFailureNote Note, string NotedIn)> notes, string where, string key, IOperationObserver observer, Func<Task<BackupFailureNote?>> read)
    {
        try
        {
            if (await read().ConfigureAwait(false) is { } note && note.Format <= Repository.FormatVersion)
            {
                notes.Add((note, where));
            }
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
        {
            observer.Warning($"The note '{key}' of a failure in {where} is left out: {e.Message}");
        }
    }

    /// <summary>Whether a backup of a site was begun, and neither is complete nor says why it is damaged.</summary>
    private static bool IsUnfinished(BackupEntry entry, string site) =>
        entry is { IsComplete: false, Problem: null, Start: { } start } && (start.Site is null || start.Site == site);

    /// <summary>Whether a note is about a backup.</summary>
    private static bool IsOf(BackupFailureNote note, BackupEntry entry) =>
        entry.Start is { } start && start.Host == note.Host && start.StartTime >= note.StartTime && start.StartTime <= note.Time &&
        (note.Component is null || note.Component == entry.Component);

    /// <summary>When something of a backup was stored last; null where that is so recent that it runs.</summary>
    private static async Task<DateTimeOffset?> FindSilenceAsync(Repository repository, BackupEntry entry, CancellationToken cancellationToken)
    {
        DateTimeOffset last = entry.Start!.StartTime;
        await foreach (ObjectInfo info in repository.ListAsync(RepositoryKeys.Backup(entry.Component, entry.Id), cancellationToken).ConfigureAwait(false))
        {
            last = info.LastModified > last ? info.LastModified : last;
        }

        return last < DateTimeOffset.UtcNow - s_silence ? last : null;
    }

    private static BackupFailure ToFailure(BackupFailureNote note, string notedIn, List<BackupEntry> backups) => new()
    {
        Time = note.Time,
        Site = note.Site,
        Component = note.Component?.ToString(),
        BackupId = note.Component is null ? null : backups.LastOrDefault(entry => entry.Start is not null && IsOf(note, entry))?.Id,
        Problem = note.Problem,
        Recommendation = note.Recommendation,
        ErrorId = note.ErrorId,
        Command = note.Command,
        Elapsed = note.Time - note.StartTime,
        By = $"{note.User}@{note.Host}",
        NextBackupId = note.Component is { } component ? NextOf(backups, note.Site, component, note.Time) : null,
        NotedIn = notedIn,
    };

    private static BackupFailure ToUnfinished(BackupEntry entry, string site, DateTimeOffset last, string repository, string? next) => new()
    {
        Time = entry.Start!.StartTime,
        Site = site,
        Component = entry.Component.ToString(),
        BackupId = entry.Id,
        Problem = $"It was begun and never finished, and nothing of it was stored after {DisplayText.Time(last)}: its process was ended from outside, or its host was lost.",
        Recommendation = string.Create(
            CultureInfo.InvariantCulture,
            $"Look in the log of the host '{entry.Start.Host}' for what ended the process {entry.Start.ProcessId} (memory, a time limit, a restart), and back up again."),
        By = entry.Start.Host,
        NextBackupId = next,
        NotedIn = repository,
    };

    private static string? NextOf(List<BackupEntry> backups, string site, Component component, DateTimeOffset time) => backups
        .Where(entry => entry.Component == component && entry.Header is { } header && (header.CompletedTime ?? header.StartTime) > time &&
            header.MayBeOf(site))
        .MinBy(static entry => entry.Header!.StartTime)?.Id;

    private static string DirectoryOf(string stateDirectory) => Path.Combine(stateDirectory, "backup-failures");

    private static IObjectStore OpenOnHost(string stateDirectory) => ObjectStoreFactory.Open(new Uri(DirectoryOf(stateDirectory) + "/").AbsoluteUri);
}
