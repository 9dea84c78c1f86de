using System.Management.Automation;
using SmcDr.Core.Certification;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Lists the certificates of tests of recovery, newest first.</summary>
/// <remarks>
/// <para>
/// Each is what Test-SmcRecovery returned. How the recovery time develops can be seen from them, and when it was last shown that the
/// database can be recovered.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcRecoveryTest -First 12 | Format-Table StartTime, Outcome, RecoverySeconds, ObjectiveSeconds</code>
/// Shows how the recovery time developed.
/// </example>
/// <example>
/// <code>Get-SmcRecoveryTest | Where-Object Outcome -ne Failed | Select-Object -First 1 -ExpandProperty StartTime</code>
/// When the database was last shown to be recoverable.
/// </example>
/// <example>
/// <code>(Get-SmcRecoveryTest -First 1).Checks | Where-Object Outcome -ne Passed | Format-List Name, Target, Message, Recommendation</code>
/// Shows what the newest test did not find as it should be.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/>: There is no repository yet.</exception>
/// <seealso cref="TestSmcRecoveryCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
/// <seealso href="about_SmcDr_Drills"/>
[Cmdlet(VerbsCommon.Get, "SmcRecoveryTest")]
[OutputType(typeof(RecoveryTestResult))]
public sealed class GetSmcRecoveryTestCommand : SiteCmdlet
{
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
        foreach (RecoveryTestResult result in await RecoveryCertificates
            .ListAsync(repository, site.Name, First, pipeline, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }
    }
}
