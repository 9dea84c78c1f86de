using System.Management.Automation;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Adds a note to the timeline of an incident, also of one that is closed.</summary>
/// <remarks>
/// <para>
/// A note is never changed. What looks like a password is hidden. With -Phase it says besides that a phase of the procedure has begun.
/// </para>
/// </remarks>
/// <example>
/// <code>Add-SmcIncidentNote 'Customers were told by the status page' -Phase Communication</code>
/// Notes that the second phase has begun.
/// </example>
/// <example>
/// <code>'The disk was replaced', 'It is in the hands of its maker' | Add-SmcIncidentNote -Id 20261129T152500Z-incident</code>
/// Adds two notes to an incident that is over.
/// </example>
/// <example>
/// <code>Get-SmcWorkload | Where-Object State -ne Running | ForEach-Object { "$($_.Name) is $($_.State)" } | Add-SmcIncidentNote</code>
/// Notes which of the writers do not run, a note for each.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: No incident is open, and none was named.</exception>
/// <seealso cref="StartSmcIncidentCommand"/>
/// <seealso cref="GetSmcIncidentCommand"/>
/// <seealso cref="StopSmcIncidentCommand"/>
/// <seealso cref="ExportSmcReportCommand"/>
[Cmdlet(VerbsCommon.Add, "SmcIncidentNote", SupportsShouldProcess = true)]
[OutputType(typeof(IncidentInfo))]
public sealed class AddSmcIncidentNoteCommand : IncidentCmdlet
{
    /// <summary>The note.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    public string[] Text { get; set; } = [];

    /// <summary>The phase that begins with it.</summary>
    [Parameter]
    public IncidentPhase? Phase { get; set; }

    /// <summary>The incident. Without it, the one that is open.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("IncidentId")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(IncidentIdCompleter))]
    public string? Id { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await OpenRepositoryAsync(pipeline, site, cancellationToken).ConfigureAwait(false);
        string id = await SiteIncidents.ResolveAsync(site, repository, Id, cancellationToken).ConfigureAwait(false);
        foreach (string text in Text)
        {
            if (await pipeline.ShouldProcessAsync($"Incident '{id}' of '{site.Name}'", $"Note '{text}'").ConfigureAwait(false))
            {
                await pipeline.WriteObjectAsync(
                    await SiteIncidents.AddNoteAsync(site, repository, id, text, Phase, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
            }
        }
    }
}
