using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Incidents;

/// <summary>
/// The durable record of an incident in a repository: each entry an object of its own, numbered, and never overwritten. Several hosts write to it at
/// once, so who finds a number taken takes the next one.
/// </summary>
internal static class IncidentJournal
{
    // Who looks for open incidents looks at the newest alone: one is closed before the next one is opened, and clocks of several hosts blur the order.
    private const int Newest = 8;

    /// <summary>Opens an incident, under an id that nobody else has.</summary>
    public static async Task<string> OpenAsync(Repository repository, IncidentBegin begin, CancellationToken cancellationToken)
    {
        // An id is a second. Where two are opened in the same one, the first entry decides, and the other takes the next.
        for (DateTimeOffset time = DateTimeOffset.UtcNow; ; time = time.AddSeconds(1))
        {
            string id = RepositoryKeys.NewId(time, "incident");
            IncidentJournalEntry entry = NewEntry(repository, id) with { Begin = begin, Phase = IncidentPhase.Response };
            if (await TryPutAsync(repository, begin.Site, entry, cancellationToken).ConfigureAwait(false))
            {
                return id;
            }
        }
    }

    /// <summary>A new entry, without what it says.</summary>
    public static IncidentJournalEntry NewEntry(Repository repository, string incidentId) => new()
    {
        RepositoryId = repository.Id,
        IncidentId = incidentId,
        Number = 0,
        Time = DateTimeOffset.UtcNow,
        User = Environment.UserName,
        Host = Environment.MachineName,
        EntryId = Guid.NewGuid().ToString("N"),
    };

    /// <summary>Appends an entry. Durable when this returns.</summary>
    public static async Task AppendAsync(Repository repository, string site, IncidentJournalEntry entry, CancellationToken cancellationToken)
    {
        EntryFolder folder = FolderOf(site, entry.IncidentId);
        IReadOnlyList<long> taken = await folder
            .FindNumbersAsync(repository.Store.ListAsync(folder.Path, cancellationToken), cancellationToken).ConfigureAwait(false);
        long next = taken.Count == 0 ? 1 : taken.Max() + 1;
        while (!await TryPutAsync(repository, site, entry with { Number = next }, cancellationToken).ConfigureAwait(false))
        {
            next++;
        }
    }

    /// <summary>Closes an incident.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: it is closed.</exception>
    public static async Task CloseAsync(
        Repository repository, string site, string incidentId, string summary, string? rootCause, CancellationToken cancellationToken)
    {
        IncidentEnd end = new()
        {
            RepositoryId = repository.Id,
            IncidentId = incidentId,
            Time = DateTimeOffset.UtcNow,
            User = Environment.UserName,
            Host = Environment.MachineName,
            Summary = summary,
            RootCause = rootCause,
        };
        string key = FolderOf(site, incidentId).EndKey;
        try
        {
            await Repository.PutDocumentAsync(repository.Store, key, end, IncidentJson.Default.IncidentEnd, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            IncidentEnd? there = await repository.TryReadDocumentAsync(key, IncidentJson.Default.IncidentEnd, cancellationToken).ConfigureAwait(false);
            // An answer was lost where it is this very one.
            if (there != end)
            {
                throw Closed(incidentId, there, e);
            }
        }
    }

    /// <summary>Makes sure that an incident is not closed.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="incidentId">The incident.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: it is closed.</exception>
    public static async Task CheckOpenAsync(Repository repository, string site, string incidentId, CancellationToken cancellationToken)
    {
        IncidentEnd? end = await repository
            .TryReadDocumentAsync(FolderOf(site, incidentId).EndKey, IncidentJson.Default.IncidentEnd, cancellationToken).ConfigureAwait(false);
        if (end is not null)
        {
            throw Closed(incidentId, end, null);
        }
    }

    /// <summary>The ids of a site's incidents, newest first.</summary>
    public static Task<IReadOnlyList<string>> ListIdsAsync(IObjectStore store, string site, CancellationToken cancellationToken) =>
        EntryFolder.ListIdsAsync(store.ListFoldersAsync(RepositoryKeys.Incidents(site), cancellationToken), RepositoryKeys.IsId, cancellationToken);

    /// <summary>
    /// The ids of the open ones, newest first. Names of objects are in clear also where their content is not, so a repository need not be opened to look.
    /// </summary>
    public static async Task<IReadOnlyList<string>> FindOpenAsync(IObjectStore store, string site, CancellationToken cancellationToken)
    {
        List<string> open = [];
        foreach (string id in (await ListIdsAsync(store, site, cancellationToken).ConfigureAwait(false)).Take(Newest))
        {
            if (!await FolderOf(site, id).IsEndedAsync(store, cancellationToken).ConfigureAwait(false))
            {
                open.Add(id);
            }
        }

        return open;
    }

    /// <summary>Reads an incident.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: there is none of that id; or the damage of its first entry.</exception>
    public static async Task<IncidentInfo> LoadAsync(
        Repository repository, string site, string incidentId, IOperationObserver observer, CancellationToken cancellationToken)
    {
        EntryFolder folder = FolderOf(site, incidentId);
        IReadOnlyList<long> numbers = RepositoryKeys.IsId(incidentId)
            ? await folder.FindNumbersAsync(repository.ListAsync(folder.Path, cancellationToken), cancellationToken).ConfigureAwait(false)
            : [];
        if (!numbers.Contains(0))
        {
            throw new SmcException(
                SmcErrorCode.IncidentUnsuitable, $"There is no incident '{incidentId}' of the site '{site}' in {repository.Location}.", target: incidentId);
        }

        IncidentJournalEntry?[] entries = await EntryFolder.ReadAsync(
            numbers, (number, token) => TryReadAsync(repository, site, incidentId, number, observer, token), cancellationToken).ConfigureAwait(false);
        IncidentEnd? end = await repository
            .TryReadDocumentAsync(folder.EndKey, IncidentJson.Default.IncidentEnd, cancellationToken).ConfigureAwait(false);
        return ToInfo(repository, incidentId, [.. entries.OfType<IncidentJournalEntry>()], end);
    }

    private static IncidentInfo ToInfo(Repository repository, string incidentId, IReadOnlyList<IncidentJournalEntry> entries, IncidentEnd? end)
    {
        IncidentJournalEntry first = entries.First(static entry => entry.Number == 0);
        IncidentBegin begin = first.Begin!;
        ILookup<string?, IncidentJournalEntry> ends = entries.Where(static entry => entry.EndOf is not null).ToLookup(static entry => entry.EndOf);
        List<IncidentEntry> timeline = [.. entries.Where(static entry => entry.EndOf is null).Select(entry => ToEntry(entry, ends[entry.EntryId].FirstOrDefault()))];
        if (end is not null)
        {
            timeline.Add(new IncidentEntry { Time = end.Time, Kind = "Closed", Text = end.Summary, By = $"{end.User}@{end.Host}" });
        }

        timeline = [.. timeline.OrderBy(static entry => entry.Time)];
        return new IncidentInfo
        {
            IncidentId = incidentId,
            Site = begin.Site,
            Title = begin.Title,
            Severity = begin.Severity,
            Scenario = begin.Scenario,
            State = end is null ? "Open" : "Closed",
            StartTime = first.Time,
            EndTime = end?.Time,
            Duration = (end?.Time ?? DateTimeOffset.UtcNow) - first.Time,
            OpenedBy = $"{first.User}@{first.Host}",
            Summary = end?.Summary,
            RootCause = end?.RootCause,
            Contacts = begin.Contacts,
            Phases = IncidentPhases.Of(first.Time, timeline),
            Timeline = timeline,
            Repository = repository.Location,
        };
    }

    private static IncidentEntry ToEntry(IncidentJournalEntry entry, IncidentJournalEntry? end) => new()
    {
        Time = entry.Time,
        Kind = entry.Begin is not null ? "Opened" : entry.Command is not null ? "Command" : "Note",
        Text = entry.Begin?.Title ?? entry.Command ?? entry.Note ?? "",
        Outcome = entry.Command is null ? null : end?.Outcome ?? (entry.Process?.IsSurelyGone() == true ? "Unknown" : "Running"),
        Elapsed = end?.ElapsedSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        Problem = end?.Problem,
        ErrorId = end?.ErrorId,
        Phase = entry.Phase,
        By = $"{entry.User}@{entry.Host}",
    };

    private static EntryFolder FolderOf(string site, string incidentId) => new($"{RepositoryKeys.Incidents(site)}{incidentId}/");

    /// <summary>Puts an entry under its number; false where that is taken by another.</summary>
    private static async Task<bool> TryPutAsync(Repository repository, string site, IncidentJournalEntry entry, CancellationToken cancellationToken)
    {
        string key = FolderOf(site, entry.IncidentId).KeyOf(entry.Number);
        try
        {
            await Repository.PutDocumentAsync(repository.Store, key, entry, IncidentJson.Default.IncidentJournalEntry, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            IncidentJournalEntry? there = await repository
                .TryReadDocumentAsync(key, IncidentJson.Default.IncidentJournalEntry, cancellationToken).ConfigureAwait(false);
            // An answer was lost where it is this very one.
            return there?.EntryId == entry.EntryId;
        }
    }

    /// <summary>Reads an entry. A damaged one must not take the others from who reads them at three in the morning; only the first has no substitute.</summary>
    private static async Task<IncidentJournalEntry?> TryReadAsync(
        Repository repository, string site, string incidentId, long number, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string key = FolderOf(site, incidentId).KeyOf(number);
        try
        {
            return await repository.TryReadDocumentAsync(key, IncidentJson.Default.IncidentJournalEntry, cancellationToken, entry =>
            {
                EntryFolder.EnsureKnown(entry.Format, key);
                if (entry.RepositoryId != repository.Id || entry.IncidentId != incidentId || entry.Number != number || (number == 0) != (entry.Begin is not null))
                {
                    throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is another entry.", target: key);
                }
            }).ConfigureAwait(false);
        }
        catch (SmcException e) when (number != 0 && SmcErrors.IsDamage(e.Code))
        {
            observer.Warning($"An entry of the incident '{incidentId}' is left out: {e.Message}");
            return null;
        }
    }

    private static SmcException Closed(string incidentId, IncidentEnd? end, Exception? inner) => new(
        SmcErrorCode.IncidentUnsuitable,
        $"The incident '{incidentId}' was closed by {end?.User} on {end?.Host} at {DisplayText.Time(end?.Time)}.",
        inner,
        recommendation: "A note can be added to it all the same: Add-SmcIncidentNote -Id (or 'smcdr incident note').",
        target: incidentId);
}
