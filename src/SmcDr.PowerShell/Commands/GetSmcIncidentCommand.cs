using System.Management.Automation;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the site's incidents, newest first, with what was done and noted in each.</summary>
/// <remarks>
/// <para>
/// Timeline has the entries in the order of time, by the clocks of the hosts that wrote them. A command whose end was never noted, because its host
/// is gone, say, stays Running; where its process is gone from this host, it is Unknown.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcIncident -Open</code>
/// The incident that is open.
/// </example>
/// <example>
/// <code>Get-SmcIncident -First 1 | Select-Object -ExpandProperty Timeline</code>
/// What was done and noted in the newest one.
/// </example>
/// <example>
/// <code>Get-SmcIncident | Where-Object StartTime -gt (Get-Date).AddMonths(-1) | Format-Table IncidentId, Title, Severity, Duration, RootCause</code>
/// The incidents of the last month, for a review.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: There is no incident of this id.</exception>
/// <seealso cref="StartSmcIncidentCommand"/>
/// <seealso cref="AddSmcIncidentNoteCommand"/>
/// <seealso cref="StopSmcIncidentCommand"/>
/// <seealso cref="ExportSmcReportCommand"/>
[Cmdlet(VerbsCommon.Get, "SmcIncident")]
[OutputType(typeof(IncidentInfo))]
public sealed class GetSmcIncidentCommand : IncidentCmdlet
{
    /// <summary>One incident by its id.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("IncidentId")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(IncidentIdCompleter))]
    public string? Id { get; set; }

    /// <summary>Only those that are open.</summary>
    [Parameter]
    public SwitchParameter Open { get; set; }

    /// <summary>At most how many, the newest.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int First { get; set; } = int.MaxValue;

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site
            .OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<IncidentInfo> incidents = Id is { } id
            ? [await SiteIncidents.GetAsync(site, repository, id, pipeline, cancellationToken).ConfigureAwait(false)]
            : await SiteIncidents.ListAsync(site, repository, Open, First, pipeline, cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(incidents, enumerateCollection: true).ConfigureAwait(false);
    }
}
