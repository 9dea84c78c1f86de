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
/// What stands in angle brackets in a command is to be filled in. Measured is the median of what the newest recoveries of the component took, which
/// are noted in the repository; it is empty where none was
/// measured, also where the repository does not answer: the steps are shown all the same.
/// </para>
/// </remarks>
/// <example>
/// <code>(Get-SmcRunbook DatabaseCorruption).Steps | Format-Table Number, Title, Command -Wrap</code>
/// What to do where the database has lost data.
/// </example>
/// <example>
/// <code>Get-SmcRunbook | Format-Table Scenario, Objective, Measured</code>
/// What each scenario takes, beside what it may take.
/// </example>
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
        foreach (IncidentScenario scenario in Scenario)
        {
            await pipeline.WriteObjectAsync(await SiteRunbooks.GetAsync(site, repository, scenario, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        }
    }
}
