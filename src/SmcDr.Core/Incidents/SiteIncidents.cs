using SmcDr.Core.Notifications;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Incidents;

/// <summary>A site's incidents: opened, noted, closed and read, in one way for every front end.</summary>
public static class SiteIncidents
{
    /// <summary>Opens an incident. From then on what commands do on the site is noted in it.</summary>
    /// <param name="site">The site; its contacts are kept as they are now.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="request">What happened.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: one is open.</exception>
    public static async Task<IncidentInfo> StartAsync(Site site, Repository repository, IncidentRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(request);
        await CheckNoneOpenAsync(site, repository, cancellationToken).ConfigureAwait(false);
        string id = await IncidentJournal.OpenAsync(
            repository,
            new IncidentBegin
            {
                Site = site.Name,
                Title = Clean(request.Title),
                Severity = request.Severity,
                Scenario = request.Scenario,
                Contacts = [.. site.Contacts.Select(static contact => new IncidentContact(contact.Role, contact.Name, contact.Address))],
            },
            cancellationToken).ConfigureAwait(false);
        return await GetAsync(site, repository, id, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Makes sure that an incident can be opened, before anybody is asked.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: one is open.</exception>
    public static async Task CheckNoneOpenAsync(Site site, Repository repository, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        if (await IncidentJournal.FindOpenAsync(repository.Store, site.Name, cancellationToken).ConfigureAwait(false) is [var open, ..])
        {
            throw new SmcException(
                SmcErrorCode.IncidentUnsuitable,
                $"The incident '{open}' of the site '{site.Name}' is open.",
                recommendation: "Note what is new in it (Add-SmcIncidentNote, 'smcdr incident note'), or close it first (Stop-SmcIncident, 'smcdr incident stop').",
                target: open);
        }
    }

    /// <summary>Adds a note to an incident, which may be closed.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="incidentId">The incident; null = the open one.</param>
    /// <param name="text">The note.</param>
    /// <param name="phase">The phase that begins with it; null = none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: there is no such incident.</exception>
    public static async Task<IncidentInfo> AddNoteAsync(
        Site site, Repository repository, string? incidentId, string text, IncidentPhase? phase, CancellationToken cancellationToken)
    {
        string id = await ResolveAsync(site, repository, incidentId, cancellationToken).ConfigureAwait(false);
        IncidentJournalEntry entry = IncidentJournal.NewEntry(repository, id) with { Note = Clean(text), Phase = phase };
        await IncidentJournal.AppendAsync(repository, site.Name, entry, cancellationToken).ConfigureAwait(false);
        return await GetAsync(site, repository, id, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes an incident.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="incidentId">The incident; null = the open one.</param>
    /// <param name="summary">What became of it.</param>
    /// <param name="rootCause">Why it happened; null = not known yet.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: there is no such incident, or it is closed.</exception>
    public static async Task<IncidentInfo> StopAsync(
        Site site, Repository repository, string? incidentId, string summary, string? rootCause, CancellationToken cancellationToken)
    {
        string id = await ResolveAsync(site, repository, incidentId, cancellationToken).ConfigureAwait(false);
        await IncidentJournal.CloseAsync(
            repository, site.Name, id, Clean(summary), rootCause is null ? null : Clean(rootCause), cancellationToken).ConfigureAwait(false);
        return await GetAsync(site, repository, id, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>One incident.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The repository.</param>
    /// <param name="incidentId">The incident; null = the open one, else the newest.</param>
    /// <param name="observer">Is warned of entries that cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: there is none.</exception>
    public static async Task<IncidentInfo> GetAsync(
        Site site, Repository repository, string? incidentId, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        string id = incidentId
            ?? FirstOf(await IncidentJournal.FindOpenAsync(repository.Store, site.Name, cancellationToken).ConfigureAwait(false))
            ?? FirstOf(await IncidentJournal.ListIdsAsync(repository.Store, site.Name, cancellationToken).ConfigureAwait(false))
            ?? throw new SmcException(
                SmcErrorCode.IncidentUnsuitable, $"There was no incident of the site '{site.Name}' in {repository.Location}.", target: site.Name);
        return await IncidentJournal.LoadAsync(repository, site.Name, id, observer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A site's incidents, newest first.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The repository.</param>
    /// <param name="isOpenOnly">Whether those that are closed are left out.</param>
    /// <param name="count">At most how many.</param>
    /// <param name="observer">Is warned of what cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<IncidentInfo>> ListAsync(
        Site site, Repository repository, bool isOpenOnly, int count, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(observer);
        IReadOnlyList<string> ids = isOpenOnly
            ? await IncidentJournal.FindOpenAsync(repository.Store, site.Name, cancellationToken).ConfigureAwait(false)
            : await IncidentJournal.ListIdsAsync(repository.Store, site.Name, cancellationToken).ConfigureAwait(false);
        List<IncidentInfo> incidents = [];
        foreach (string id in ids.Take(count))
        {
            try
            {
                incidents.Add(await IncidentJournal.LoadAsync(repository, site.Name, id, observer, cancellationToken).ConfigureAwait(false));
            }
            catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
            {
                observer.Warning($"The incident '{id}' is left out: {e.Message}");
            }
        }

        return incidents;
    }

    /// <summary>Tells the site's channels that an incident was opened, or is over; nobody where the site names nobody.</summary>
    /// <param name="site">The site.</param>
    /// <param name="incident">The incident.</param>
    /// <param name="sender">What tells them.</param>
    /// <param name="stateDirectory">Where it is noted what was told.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What became of it, for each channel.</returns>
    public static async Task<IReadOnlyList<AlertResult>> TellAsync(
        Site site, IncidentInfo incident, AlertSender sender, string? stateDirectory, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(incident);
        ArgumentNullException.ThrowIfNull(sender);
        if (site.Notifications.Count == 0)
        {
            return [];
        }

        bool isOver = incident.EndTime is not null;
        Alert alert = Alert.Create(
            site.Name,
            incident.Severity,
            $"Incident {(isOver ? "closed" : "opened")}: {incident.Title}",
            isOver
                ? string.Join('\n', new[] { incident.Summary, incident.RootCause is { } cause ? $"Cause: {cause}" : null }.OfType<string>())
                : string.Join('\n', incident.Contacts.Select(static contact => $"{contact.Role}: {(contact.Name is null ? "" : contact.Name + ", ")}{contact.Address}")),
            [
                new AlertField("Incident", incident.IncidentId),
                new AlertField("Scenario", incident.Scenario.ToString()),
                new AlertField(isOver ? "Took" : "Opened by", isOver ? DisplayText.Duration(incident.Duration) : incident.OpenedBy),
            ],
            $"incident/{incident.IncidentId}",
            isOver,
            DateTimeOffset.UtcNow);
        // Whoever closes it may do so on another host than that which told of it, where nobody remembers who was told.
        return await sender.SendAsync(alert, new AlertSendOptions { StateDirectory = stateDirectory, Force = isOver }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Finds the incident that is meant.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="incidentId">The incident; null = the open one.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The incident's id.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: there is no such incident, or none or several are open.</exception>
    public static async Task<string> ResolveAsync(Site site, Repository repository, string? incidentId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        if (incidentId is not null)
        {
            // That there is one, before something is written where none is.
            return (await IncidentJournal.LoadAsync(repository, site.Name, incidentId, NullObserver.Instance, cancellationToken).ConfigureAwait(false)).IncidentId;
        }

        return await IncidentJournal.FindOpenAsync(repository.Store, site.Name, cancellationToken).ConfigureAwait(false) switch
        {
            [var one] => one,
            [] => throw new SmcException(SmcErrorCode.IncidentUnsuitable, $"No incident of the site '{site.Name}' is open.", target: site.Name),
            var several => throw new SmcException(
                SmcErrorCode.IncidentUnsuitable,
                $"Several incidents of the site '{site.Name}' are open: {string.Join(", ", several)}.",
                recommendation: "Say which is meant, by -Id (or --id).",
                target: site.Name),
        };
    }

    /// <summary>Finds the incident that is to be closed.</summary>
    /// <inheritdoc cref="ResolveAsync"/>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: there is no such incident, or it is closed.</exception>
    public static async Task<string> ResolveUnfinishedAsync(Site site, Repository repository, string? incidentId, CancellationToken cancellationToken)
    {
        string id = await ResolveAsync(site, repository, incidentId, cancellationToken).ConfigureAwait(false);
        await IncidentJournal.CheckOpenAsync(repository, site.Name, id, cancellationToken).ConfigureAwait(false);
        return id;
    }

    /// <summary>What people write may hold a password, and the record is kept for years.</summary>
    internal static string Clean(string text) => new SecretText([]).Hide(text.ReplaceLineEndings("\n").Trim());

    private static string? FirstOf(IReadOnlyList<string> ids) => ids.Count == 0 ? null : ids[0];
}
