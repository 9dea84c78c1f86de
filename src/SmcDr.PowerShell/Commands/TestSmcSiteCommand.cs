using System.Management.Automation;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Checks whether repository and database are as backups and recoveries need them.</summary>
/// <remarks>
/// <para>
/// Each check is one object, written as soon as it is done, with what was found and what to do about it. Nothing is changed on the
/// server; in the repository one small object is written and removed again.
/// </para>
/// <para>
/// The result is a list and therefore always true in an if statement: scripts that only ask whether all is well add -Quiet.
/// </para>
/// </remarks>
/// <example>
/// <code>Test-SmcSite | Where-Object Outcome -ne Passed | Format-List</code>
/// Shows what is not as it should be, with recommendations.
/// </example>
/// <example>
/// <code>if (-not (Test-SmcSite -Quiet)) { throw 'The site is not ready.' }</code>
/// Stops a script where a check failed. Warnings do not count as failures.
/// </example>
/// <example>
/// <code>Get-ChildItem /etc/smcdr/*.yaml | Test-SmcSite | Where-Object Outcome -eq Failed | Format-Table Target, Name, Message -Wrap</code>
/// Shows what fails in any of the sites of this host.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: The file is not right: the message has every problem, with its line.</exception>
/// <seealso cref="EnableSmcPointInTimeRecoveryCommand"/>
/// <seealso cref="TestSmcSystemCommand"/>
/// <seealso cref="SetSmcSiteCommand"/>
/// <seealso href="about_SmcDr_Sites"/>
/// <seealso href="about_SmcDr_Errors"/>
[Cmdlet(VerbsDiagnostic.Test, "SmcSite")]
[OutputType(typeof(CheckResult), typeof(bool))]
public sealed class TestSmcSiteCommand : SmcCmdlet
{
    /// <summary>
    /// The site: its name, the path of its file, or what Get-SmcSite returns. Without it, the session's current site; else the file
    /// that the environment variable SMCDR_SITE names; else smcdr.yaml in the current directory.
    /// </summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [SmcSite]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(SiteCompleter))]
    public string? Site { get; set; }

    /// <summary>Returns only whether no check failed.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await SiteArguments.FindLeaderAsync(
            pipeline, await SiteArguments.LoadAsync(pipeline, Site).ConfigureAwait(false)).ConfigureAwait(false);
        SiteChecks checks = new(site, SiteArguments.CreateSecrets(pipeline), ObjectStoreFactory.Open);
        bool passed = true;
        await foreach (CheckResult result in checks.RunAsync(cancellationToken).ConfigureAwait(false))
        {
            passed &= result.Outcome != "Failed";
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
