using System.Management.Automation;
using SmcDr.Core.Objectives;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Measures what holds now of the site's objectives: what would be lost if a component were gone this second, and how long a recovery takes.</summary>
/// <remarks>
/// <para>
/// There is a result for each component that has objectives in the site file, and for each file store. LossSeconds of a database is the age of the oldest commit that
/// the repository lacks, by asking the server; where it does not answer, and for all that is backed up from time to time, it is the age of what is stored, and LossIsBound
/// says that it may be less.
/// </para>
/// <para>
/// PredictedRecoverySeconds is made of what the newest recoveries of the component took, in proportion to what is to be restored and replayed now; each that
/// is whole is noted in the repository. Where none was measured it is empty, and the verdict is Unknown: no number is made up. It does not hold
/// the time until somebody begins.
/// </para>
/// <para>
/// Verdict is AtRisk, with a warning, where more than 80 % of an objective are used up, or no WAL stream gives a sign of life.
/// </para>
/// </remarks>
/// <example>
/// <code>Measure-SmcObjective | Where-Object Verdict -ne Met | Send-SmcAlert</code>
/// Tells what does not hold, and nobody where all does.
/// </example>
/// <example>
/// <code>Measure-SmcObjective -OutFile /var/lib/prometheus/node-exporter/smcdr.prom | Out-Null</code>
/// Writes the metrics for Prometheus, as a whole; also where the measurement fails, so that an alarm hears of it.
/// </example>
/// <example>
/// <code>Measure-SmcObjective | Format-Table Component, Subject, Verdict, LossSeconds, Rpo, PredictedRecoverySeconds, Rto</code>
/// Shows what would be lost now and how long a recovery would take, beside what the site promises.
/// </example>
/// <seealso cref="TestSmcRecoveryCommand"/>
/// <seealso cref="SendSmcAlertCommand"/>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso href="about_SmcDr_Drills"/>
[Cmdlet(VerbsDiagnostic.Measure, "SmcObjective")]
[OutputType(typeof(ObjectiveResult))]
public sealed class MeasureSmcObjectiveCommand : SiteCmdlet
{
    /// <summary>Asks no server what would be lost now.</summary>
    [Parameter]
    public SwitchParameter Offline { get; set; }

    /// <summary>A file that is written besides, in Prometheus's text format; its collector reads names that end in .prom.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? OutFile { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        string? path = OutFile is null ? null : await FilePaths.ResolveAsync(pipeline, OutFile).ConfigureAwait(false);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        ObjectiveMeter meter = new(site, SiteArguments.CreateSecrets(pipeline), Offline, pipeline);
        IReadOnlyList<ObjectiveResult> results = await MetricsFile.MeasureAsync(site.Name, meter.MeasureAsync, path, cancellationToken).ConfigureAwait(false);
        foreach (ObjectiveResult result in results)
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }

        foreach (string warning in ObjectiveMeter.FindWarnings(results))
        {
            pipeline.WriteWarning(warning);
        }
    }
}
