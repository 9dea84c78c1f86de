using SmcDr.Core.Incidents;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the ids of the site's newest incidents.</summary>
public sealed class IncidentIdCompleter : ListingCompleter
{
    private const int Newest = 20;

    /// <inheritdoc/>
    private protected override async Task<IReadOnlyList<(string Value, string ToolTip)>> ListAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<IncidentInfo> incidents = await SiteIncidents.ListAsync(
            site, repository, isOpenOnly: false, Newest, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
        return
        [
            .. incidents.Select(static incident => (
                incident.IncidentId,
                $"{incident.State}, {incident.Severity}, {incident.Title}, {Age(incident.StartTime)}")),
        ];
    }
}
