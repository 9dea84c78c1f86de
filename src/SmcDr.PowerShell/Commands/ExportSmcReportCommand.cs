using System.Management.Automation;
using SmcDr.Core.Drills;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Writes a report of an incident or of a drill, with a chart of what was done when.</summary>
/// <remarks>
/// <para>
/// A file whose name ends with .md becomes Markdown, with the chart in a file beside it that ends with .svg; any other becomes HTML that needs no
/// other file. A file that is there is replaced as a whole.
/// </para>
/// <para>
/// Invoke-SmcDrill -Report writes a report that shows more of a drill: what was measured while it ran is not part of its result.
/// </para>
/// </remarks>
/// <example>
/// <code>Export-SmcReport -Path ./incident.html</code>
/// Writes a report of the incident that is open, or else of the newest one.
/// </example>
/// <example>
/// <code>Get-SmcIncident 20261129T152500Z-incident | Export-SmcReport -Path ./incident.md</code>
/// Writes a report of one incident as Markdown.
/// </example>
/// <example>
/// <code>Invoke-SmcDrill | Export-SmcReport -Path ./drill.md</code>
/// Runs a drill and writes a report of it as Markdown.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.IncidentUnsuitable"/>: The site has no incident.</exception>
/// <seealso cref="StartSmcIncidentCommand"/>
/// <seealso cref="StopSmcIncidentCommand"/>
/// <seealso cref="InvokeSmcDrillCommand"/>
/// <seealso href="about_SmcDr_Drills"/>
[Cmdlet(VerbsData.Export, "SmcReport", SupportsShouldProcess = true)]
[OutputType(typeof(FileInfo))]
public sealed class ExportSmcReportCommand : IncidentCmdlet
{
    private bool _isWritten;

    /// <summary>The file.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = "";

    /// <summary>
    /// What the report is of: what Get-SmcIncident, Stop-SmcIncident or Invoke-SmcDrill returns. Without it, the incident that is open, else the
    /// newest one.
    /// </summary>
    [Parameter(ValueFromPipeline = true)]
    [ValidateNotNull]
    public PSObject? InputObject { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        string path = await FilePaths.ResolveAsync(pipeline, Path).ConfigureAwait(false);
        if (_isWritten)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"Several results were given for one report, '{path}'.",
                recommendation: "Give one, such as by 'Select-Object -First 1', or a file for each by ForEach-Object.",
                target: path);
        }

        object? subject = InputObject?.BaseObject;
        if (subject is null)
        {
            Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
            Repository repository = await site
                .OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
            subject = await SiteIncidents.GetAsync(site, repository, null, pipeline, cancellationToken).ConfigureAwait(false);
        }

        Func<Task<IReadOnlyList<string>>> write = subject switch
        {
            IncidentInfo incident => () => IncidentReport.WriteAsync(path, incident, cancellationToken),
            DrillResult drill => () => DrillReport.WriteAsync(path, drill, cancellationToken),
            _ => throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"There is no report of a {subject.GetType().Name}.",
                recommendation: "Give what Get-SmcIncident, Stop-SmcIncident or Invoke-SmcDrill returns."),
        };
        if (!await pipeline.ShouldProcessAsync(path, "Write the report").ConfigureAwait(false))
        {
            return;
        }

        _isWritten = true;
        foreach (string file in await write().ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(new FileInfo(file)).ConfigureAwait(false);
        }
    }
}
