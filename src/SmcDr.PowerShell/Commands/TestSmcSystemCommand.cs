using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Checks whether the system of the site's primary region does what it is there for.</summary>
/// <remarks>
/// <para>
/// Each check is one object: the cluster answers, its nodes and pods are ready, workloads have their replicas; the database takes writes, and the site's
/// queries give what they must; Redis answers and takes a write; those that follow them are in step; the site's URLs answer; backups and WAL are recent. In
/// Redis one key is written, with a time to live, and removed again; nothing else is changed. Whether backups could be taken and restored, Test-SmcSite
/// checks.
/// </para>
/// </remarks>
/// <example>
/// <code>Test-SmcSystem | Where-Object Outcome -in Failed, Warning | Format-List</code>
/// Shows what is not as it should be, with recommendations.
/// </example>
/// <example>
/// <code>if (-not (Test-SmcSystem -Quiet)) { Send-SmcAlert -Severity Critical 'The system is not well' }</code>
/// Tells somebody where a check failed. Warnings do not count as failures.
/// </example>
/// <example>
/// <code>Test-SmcSystem -Component Database, Redis -SkipBackup | Format-Table Name, Target, Outcome, Message -Wrap</code>
/// Looks at database and Redis after a maintenance, while backups are old for a known reason.
/// </example>
/// <seealso cref="TestSmcSiteCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
/// <seealso cref="SendSmcAlertCommand"/>
[Cmdlet(VerbsDiagnostic.Test, "SmcSystem")]
[OutputType(typeof(CheckResult), typeof(bool))]
public sealed class TestSmcSystemCommand : SiteCmdlet
{
    /// <summary>Of what. Without it, all that the site has, and its URLs.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public Component[] Component { get; set; } = [];

    /// <summary>Does not look whether backups and WAL are recent.</summary>
    [Parameter]
    public SwitchParameter SkipBackup { get; set; }

    /// <summary>Returns only whether no check failed.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SystemChecks checks = new(site, SiteArguments.CreateSecrets(pipeline));
        bool passed = true;
        await foreach (CheckResult result in checks.RunAsync(Component, !SkipBackup, cancellationToken).ConfigureAwait(false))
        {
            passed &= result.Outcome != CheckOutcomes.Failed;
            if (Quiet)
            {
                pipeline.WriteVerbose($"{result.Outcome}: {result.Message}");
            }
            else
            {
                await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
            }
        }

        if (Quiet)
        {
            await pipeline.WriteObjectAsync(passed).ConfigureAwait(false);
        }
    }
}
