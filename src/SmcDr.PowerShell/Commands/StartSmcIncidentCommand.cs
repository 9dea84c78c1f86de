using System.Management.Automation;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Opens an incident: from then on everything that is done to the site is noted in its timeline, until Stop-SmcIncident closes it.</summary>
/// <remarks>
/// <para>
/// The incident is in the site's repository, where it outlives this host. Each command that works on the site, from whatever host, by cmdlet or by
/// smcdr, notes that it began and how it ended, with its arguments; what looks like a
/// password is hidden. Commands that only look, and -WhatIf, are not noted. What cannot be noted never fails a command.
/// </para>
/// <para>
/// The site's contacts are kept with it, and the site's channels are told, with the contacts. There are five phases: Response in the first 15
/// minutes, Communication up to 30, Recovery up to 60, Verification up to 90
/// minutes, and PostIncident after 24 to 48 hours. Add-SmcIncidentNote -Phase notes when each begins.
/// </para>
/// </remarks>
/// <example>
/// <code>Start-SmcIncident 'orders has lost rows' -Severity Critical -Scenario DatabaseCorruption</code>
/// Opens an incident and tells the site's channels.
/// </example>
/// <example>
/// <code>Start-SmcIncident 'Exercise: region east is gone' -Scenario RegionFailure -NoAlert | Select-Object -ExpandProperty Contacts</code>
/// Opens an incident for an exercise, tells nobody, and shows who would be called.
/// </example>
/// <example>
/// <code>Start-SmcIncident 'orders does not answer' -Scenario PodFailure
/// (Get-SmcRunbook PodFailure).Steps | Format-Table Number, Title, Command -Wrap</code>
/// Opens an incident and shows what is to be done now.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: An incident of the site is open already.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.AlertNotDelivered"/>: The incident is open, and a channel could not be told.</exception>
/// <seealso cref="AddSmcIncidentNoteCommand"/>
/// <seealso cref="StopSmcIncidentCommand"/>
/// <seealso cref="GetSmcIncidentCommand"/>
/// <seealso cref="GetSmcRunbookCommand"/>
/// <seealso cref="ExportSmcReportCommand"/>
[Cmdlet(VerbsLifecycle.Start, "SmcIncident", SupportsShouldProcess = true)]
[OutputType(typeof(IncidentInfo))]
public sealed class StartSmcIncidentCommand : IncidentCmdlet
{
    /// <summary>What happened, in a line.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Title { get; set; } = "";

    /// <summary>How much it matters.</summary>
    [Parameter]
    public AlertSeverity Severity { get; set; } = AlertSeverity.Critical;

    /// <summary>What it is, as far as procedures go: Get-SmcRunbook has one for each.</summary>
    [Parameter]
    public IncidentScenario Scenario { get; set; }

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
        await SiteIncidents.CheckNoneOpenAsync(site, repository, cancellationToken).ConfigureAwait(false);
        if (!await pipeline.ShouldProcessAsync($"Site '{site.Name}'", $"Open the incident '{Title}' ({Severity})").ConfigureAwait(false))
        {
            return;
        }

        IncidentInfo incident = await SiteIncidents
            .StartAsync(site, repository, new IncidentRequest(Title, Severity, Scenario), cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(incident).ConfigureAwait(false);
        if (!NoAlert)
        {
            await TellAsync(pipeline, site, incident, cancellationToken).ConfigureAwait(false);
        }
    }
}
