using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets what is to be done in a scenario: the steps for what the site has, as commands, with its objectives and what recoveries took.</summary>
/// <remarks>
/// <para>
/// What stands in angle brackets in a command is to be filled in. What a step is shown to have taken is the median of the newest recoveries of the component,
/// which are noted in the repository, or what plans have learned of it; Estimated is the sum of the recoveries. Measured is what the scenario took as a whole
/// when Invoke-SmcRunbook carried it out. They are empty where nothing was measured, also where the repository does not answer: the steps are shown all the
/// same.
/// </para>
/// </remarks>
/// <example>
/// <code>(Get-SmcRunbook DatabaseCorruption).Steps | Format-Table Number, Title, Command -Wrap</code>
/// What to do where the database has lost data.
/// </example>
/// <example>
/// <code>Get-SmcRunbook | Format-Table Scenario, Objective, Estimated, Measured, Command</code>
/// What each scenario takes, beside what it may take.
/// </example>
/// <example>
/// <code>Get-SmcRunbook RegionFailure | Invoke-SmcRunbook -WhatIf</code>
/// Shows a scenario's plan, as it would be carried out now.
/// </example>
/// <example>
/// <code>Get-SmcRunbook | ForEach-Object { "## $($_.Title)"; $_.Steps | ForEach-Object { "$($_.Number). $($_.Title) ``$($_.Command)``" } } |
///     Set-Content ./runbooks.md</code>
/// Writes all runbooks to a file that is read while nothing else works.
/// </example>
/// <seealso cref="InvokeSmcRunbookCommand"/>
/// <seealso cref="StartSmcIncidentCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
[Cmdlet(VerbsCommon.Get, "SmcRunbook")]
[OutputType(typeof(RunbookInfo))]
public sealed class GetSmcRunbookCommand : SiteCmdlet
{
    /// <summary>The scenarios. Without it, all.</summary>
    [Parameter(Position = 0)]
    public IncidentScenario[] Scenario { get; set; } = [.. SiteRunbooks.Scenarios];

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository? repository = await SiteRunbooks.TryOpenAsync(site, SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        await foreach (RunbookInfo runbook in SiteRunbooks.ListAsync(site, repository, Scenario, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(runbook).ConfigureAwait(false);
        }
    }
}
