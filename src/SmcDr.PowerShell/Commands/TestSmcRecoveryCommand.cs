using System.Management.Automation;
using SmcDr.Core.Certification;
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
/// <code>if (-not (Test-SmcRecovery -Quiet)) { throw 'The database cannot be recovered as it should be.' }</code>
/// Stops a script where the test failed. Warnings do not count as failures.
/// </example>
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

    /// <summary>Returns only whether nothing failed.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
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
            await RunJobsAsync<RecoveryTestResult>(pipeline, result => WriteAsync(pipeline, result), cancellationToken).ConfigureAwait(false);
            return;
        }

        Repository repository = await site
            .OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        string? work = WorkDirectory is null ? null : await FilePaths.ResolveAsync(pipeline, WorkDirectory).ConfigureAwait(false);
        RecoveryTestOptions options = site.CreateRecoveryTest(repository, work) with
        {
            BackupId = BackupId,
            Target = TargetTime is null ? null : RecoveryTarget.AtTime(TargetTime.Resolve()),
            IsRandom = Random,
            IsWhole = !QueriesOnly,
        };
        string point = Random ? "an instant drawn by chance"
            : (options.Target ?? (BackupId is null ? RecoveryTarget.Latest : RecoveryTarget.Immediate)).ToString();
        string description = $"Recover the database of '{site.Name}' to {point} in '{options.WorkDirectory}' for the while, look at it, and certify the result.";
        if (!await pipeline.ShouldProcessAsync(description, description, "Test recovery").ConfigureAwait(false))
        {
            return;
        }

        await WriteAsync(pipeline, await RecoveryTest.RunAsync(options, pipeline, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private async Task WriteAsync(SmcPipeline pipeline, RecoveryTestResult result)
    {
        if (!Quiet)
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
            return;
        }

        foreach (CheckResult check in result.Checks)
        {
            pipeline.WriteVerbose($"{check.Outcome}: {check.Message}");
        }

        await pipeline.WriteObjectAsync(result.Outcome != CheckOutcomes.Failed).ConfigureAwait(false);
    }
}
