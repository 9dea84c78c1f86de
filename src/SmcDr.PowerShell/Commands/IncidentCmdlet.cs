using System.Management.Automation;
using SmcDr.Core.Incidents;
using SmcDr.Core.Notifications;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that work on incidents, which are not noted in them as well.</summary>
public abstract class IncidentCmdlet : SiteCmdlet
{
    /// <inheritdoc/>
    private protected override bool IsNoted => false;

    /// <summary>Opens the site's repository alone: notes are written there.</summary>
    private protected static Task<Repository> OpenRepositoryAsync(SmcPipeline pipeline, Site site, CancellationToken cancellationToken) =>
        site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken);

    /// <summary>Tells the site's channels of an incident; that somebody was not reached is an error that comes after all else.</summary>
    private protected static async Task TellAsync(SmcPipeline pipeline, Site site, IncidentInfo incident, CancellationToken cancellationToken)
    {
        IReadOnlyList<AlertResult> results = await SiteIncidents.TellAsync(
            site,
            incident,
            new AlertSender(site, SiteArguments.CreateSecrets(pipeline), pipeline),
            AlertSendOptions.FindStateDirectory(Environment.GetEnvironmentVariable),
            cancellationToken).ConfigureAwait(false);
        if (AlertSender.FindFailure(results) is { } failure)
        {
            await pipeline.WriteErrorAsync(failure, incident.IncidentId).ConfigureAwait(false);
        }
    }
}
