using System.Management.Automation;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Closes an incident with what became of it, and tells those who were told that it began.</summary>
/// <remarks>
/// <para>
/// Nothing is noted in it by commands any more. Notes can be added all the same, and Export-SmcReport makes a report of it.
/// </para>
/// </remarks>
/// <example>
/// <code>Stop-SmcIncident -Summary 'Recovered to 14:29, nothing was lost' -RootCause 'A migration without a condition'</code>
/// Closes the incident that is open.
/// </example>
/// <example>
/// <code>Stop-SmcIncident -Summary 'The exercise is over' -NoAlert | Export-SmcReport -Path ./exercise.html</code>
/// Closes it, tells nobody, and writes a report.
/// </example>
/// <example>
/// <code>Get-SmcIncident -Open | Stop-SmcIncident 'Opened by mistake' -WhatIf</code>
/// Says which incident would be closed.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: No incident is open, or this one is closed already.</exception>
/// <seealso cref="StartSmcIncidentCommand"/>
/// <seealso cref="GetSmcIncidentCommand"/>
/// <seealso cref="ExportSmcReportCommand"/>
[Cmdlet(VerbsLifecycle.Stop, "SmcIncident", SupportsShouldProcess = true)]
[OutputType(typeof(IncidentInfo))]
public sealed class StopSmcIncidentCommand : IncidentCmdlet
{
    /// <summary>What became of it.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Summary { get; set; } = "";

    /// <summary>Why it happened, as far as it is known.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? RootCause { get; set; }

    /// <summary>The incident. Without it, the one that is open.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("IncidentId")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(IncidentIdCompleter))]
    public string? Id { get; set; }

    /// <summary>Tells nobody.</summary>
    [Parameter]
    public SwitchParameter NoAlert { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await OpenRepositoryAsync(pipeline, site, cancellationToken).ConfigureAwait(false);
        string id = await SiteIncidents.ResolveUnfinishedAsync(site, repository, Id, cancellationToken).ConfigureAwait(false);
        if (!await pipeline.ShouldProcessAsync($"Incident '{id}' of '{site.Name}'", "Close").ConfigureAwait(false))
        {
            return;
        }

        IncidentInfo incident = await SiteIncidents.StopAsync(site, repository, id, Summary, RootCause, cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(incident).ConfigureAwait(false);
        if (!NoAlert)
        {
            await TellAsync(pipeline, site, incident, cancellationToken).ConfigureAwait(false);
        }
    }
}
