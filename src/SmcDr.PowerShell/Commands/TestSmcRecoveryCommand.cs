using System.Management.Automation;
using SmcDr.Core.Certification;
using SmcDr.Core.Notifications;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Recovers the database to a server that is thrown away, looks at what came back, and certifies it.</summary>
/// <remarks>
/// <para>
/// The base backup is restored to a directory of its own on this host, the write-ahead log behind it is replayed, and the server is started, isolated
/// from production. Then every table and index is read (amcheck), every row is counted and compared with the last test that did not fail, and the
/// site's queries are asked. Server and directory are removed in any case. That needs PostgreSQL's programs of the same major version, and room
/// for the whole cluster.
/// </para>
/// <para>
/// With -InCluster it is recovered in a namespace of its own of the database's cluster instead, with the image of the database's workload, to volumes that are
/// asked for as large as its own; the workload is left alone. No network leads to the server or away from it. The namespace is made where it is not there, and
/// all of it is removed in any case; what a process that was killed has left, the next test removes.
/// </para>
/// <para>
/// Where the site names channels for notifications they are told of the result, be it good or bad. Scheduled tests do the same.
/// </para>
/// <para>
/// A backup is faithful to a table that was emptied before it was taken: only the site's queries, and the comparison with the last test, find that.
/// </para>
/// <para>
/// The result is kept in the repository as a certificate, whether it is good or bad; Get-SmcRecoveryTest lists them. What keeps the test from being
/// made, such as a full disk on this host, is an error, and certifies nothing. The result is an object and therefore always true in an if
/// statement: scripts that only ask whether all is well add -Quiet.
/// </para>
/// </remarks>
/// <example>
/// <code>Test-SmcRecovery</code>
/// Tests the newest backup with all the log behind it.
/// </example>
/// <example>
/// <code>Test-SmcRecovery -Random | Select-Object -ExpandProperty Checks</code>
/// Tests an instant that is drawn by chance, and shows each thing that was looked at.
/// </example>
/// <example>
/// <code>Test-SmcRecovery -InCluster</code>
/// Tests it in the cluster, in the namespace of the database with -recovery-test behind it.
/// </example>
/// <example>
/// <code>if (-not (Test-SmcRecovery -Quiet)) { throw 'The database cannot be recovered as it should be.' }</code>
/// Stops a script where the test failed. Warnings do not count as failures.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DiskSpaceInsufficient"/>: There is no room for the cluster; nothing is certified.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.ProgramNotFound"/>: This host has no PostgreSQL programs of the backup's major version; nothing is certified.
/// </exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.AlertNotDelivered"/>: The test was made and certified, and a channel could not be told of it.
/// </exception>
/// <seealso cref="GetSmcRecoveryTestCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
/// <seealso cref="InvokeSmcDrillCommand"/>
/// <seealso cref="RegisterSmcScheduleCommand"/>
/// <seealso href="about_SmcDr_Drills"/>
[Cmdlet(VerbsDiagnostic.Test, "SmcRecovery", SupportsShouldProcess = true, DefaultParameterSetName = ByBackup)]
[OutputType(typeof(RecoveryTestResult), typeof(bool))]
public sealed class TestSmcRecoveryCommand : JobCmdlet
{
    private const string ByBackup = "Backup";
    private const string ByTime = "Time";
    private const string ByChance = "Random";

    /// <summary>The base backup; alone, it is recovered as it was at its end. Without it, the newest, with all the log behind it.</summary>
    [Parameter(ParameterSetName = ByBackup, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("Id")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>The instant to recover to: with Z or an offset, or relative to now, such as -2h.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByTime)]
    [SmcInstant]
    public Instant? TargetTime { get; set; }

    /// <summary>Recovers to an instant of the recovery windows, drawn by chance.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByChance)]
    public SwitchParameter Random { get; set; }

    /// <summary>Asks the site's queries only: reads no table and index as a whole, and counts no rows.</summary>
    [Parameter]
    public SwitchParameter QueriesOnly { get; set; }

    /// <summary>Where the cluster is recovered to for the while. Without it, /var/tmp.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? WorkDirectory { get; set; }

    /// <summary>Recovers it in a namespace of its own of the database's cluster, and not on this host.</summary>
    [Parameter]
    public SwitchParameter InCluster { get; set; }

    /// <summary>
    /// The namespace for -InCluster. Without it, the database's own with -recovery-test behind it. One that is there already must have the label
    /// smcdr/purpose=recovery-test, and stays.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Namespace { get; set; }

    /// <summary>Tells nobody of the result.</summary>
    [Parameter]
    public SwitchParameter NoAlert { get; set; }

    /// <summary>Returns only whether nothing failed.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if ((InCluster && (AsKubernetesJob || WorkDirectory is not null)) || (Namespace is not null && !InCluster))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "-InCluster recovers neither in a Job nor to a directory of this host, and -Namespace is for -InCluster.",
                recommendation: "Leave one of them out.");
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        if (AsKubernetesJob)
        {
            await AddJobsAsync(
                pipeline,
                site,
                JobCommand.TestRecovery,
                Options(
                    ("--backup", BackupId),
                    ("--at", TargetTime?.Resolve()),
                    ("--random", Random),
                    ("--queries-only", QueriesOnly),
                    ("--work-directory", WorkDirectory)),
                []).ConfigureAwait(false);
            await RunJobsAsync<RecoveryTestResult>(
                pipeline, result => WriteAsync(pipeline, site, result, cancellationToken), cancellationToken).ConfigureAwait(false);
            return;
        }

        Repository repository = await site
            .OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        if (BackupId is not null)
        {
            // Before anybody is asked.
            _ = await repository.OpenBackupAsync(Component.Database, BackupId, cancellationToken).ConfigureAwait(false);
        }

        string? work = WorkDirectory is null ? null : await FilePaths.ResolveAsync(pipeline, WorkDirectory).ConfigureAwait(false);
        RecoveryTestOptions options = site.CreateRecoveryTest(repository, work) with
        {
            BackupId = BackupId,
            Target = TargetTime is null ? null : RecoveryTarget.AtTime(TargetTime.Resolve()),
            IsRandom = Random,
            IsWhole = !QueriesOnly,
            Pod = InCluster ? site.CreateTestPlace(Namespace, pipeline) : null,
        };
        string point = Random ? "an instant drawn by chance"
            : (options.Target ?? (BackupId is null ? RecoveryTarget.Latest : RecoveryTarget.Immediate)).ToString();
        string place = options.Pod is { } pod ? $"the namespace '{pod.Namespace}'" : $"'{options.WorkDirectory}'";
        string description = $"Recover the database of '{site.Name}' to {point} in {place} for the while, look at it, and certify the result.";
        if (!await pipeline.ShouldProcessAsync(description, description, "Test recovery").ConfigureAwait(false))
        {
            return;
        }

        RecoveryTestResult result = await RecoveryTest.RunAsync(options, pipeline, cancellationToken).ConfigureAwait(false);
        await WriteAsync(pipeline, site, result, cancellationToken).ConfigureAwait(false);
    }

    private async Task WriteAsync(SmcPipeline pipeline, Site site, RecoveryTestResult result, CancellationToken cancellationToken)
    {
        if (Quiet)
        {
            foreach (CheckResult check in result.Checks)
            {
                pipeline.WriteVerbose($"{check.Outcome}: {check.Message}");
            }

            await pipeline.WriteObjectAsync(result.Outcome != CheckOutcomes.Failed).ConfigureAwait(false);
        }
        else
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }

        IReadOnlyList<AlertResult> told = NoAlert ? [] : await RecoveryTestAlert.TellAsync(
            site,
            result,
            new AlertSender(site, SiteArguments.CreateSecrets(pipeline), pipeline),
            AlertSendOptions.FindStateDirectory(Environment.GetEnvironmentVariable),
            cancellationToken).ConfigureAwait(false);
        if (AlertSender.FindFailure(told) is { } failure)
        {
            await pipeline.WriteErrorAsync(failure, result.TestId).ConfigureAwait(false);
        }
    }
}
