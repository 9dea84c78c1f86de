using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Verification;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Verifies backups: whether all that they need is there, or, with -Deep, whether every byte of it is right.</summary>
/// <remarks>
/// <para>
/// Without -Deep nothing is read but manifests and listings: every object that a backup needs must be there with its length, and for
/// databases the write-ahead log without a gap from the backup's start to its stop. With -Deep every byte is read, each only once, and
/// compared with its digest. What was read is noted in the repository, so that -VerifiedWithin goes on where a run was stopped.
/// </para>
/// <para>
/// Logical backups need no log. An emergency backup of which something is missing is Partial, and names it. For -NewerThan they do not count: a
/// database must have a physical backup, without which nothing can be recovered to a point in time.
/// </para>
/// <para>
/// The result is a list and therefore always true in an if statement: scripts that only ask whether all is well add -Quiet.
/// </para>
/// <para>
/// With -AsKubernetesJob it runs as a Job in the cluster of the site's primary region, near the repository.
/// </para>
/// </remarks>
/// <example>
/// <code>Test-SmcBackup -NewerThan 26h -Quiet</code>
/// For monitoring: whether everything of the site has a backup from the last 26 hours that is all there.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Test-SmcBackup -Deep -VerifiedWithin 7d | Where-Object Outcome -ne Passed</code>
/// Reads what was not read in the last week, and shows what is wrong.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component Database | Select-Object -Last 1 | Test-SmcBackup -Deep | Select-Object -ExpandProperty Problems</code>
/// Reads every byte of the newest backup of the database, and shows what is wrong with it.
/// </example>
/// <example>
/// <code>Test-SmcBackup -Deep -AsKubernetesJob | Where-Object Outcome -ne Passed | Send-SmcAlert</code>
/// Verifies all backups by a Job near the repository, and tells the site's channels what is wrong.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: There is no backup of this id.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.KeyMissing"/>: The repository is encrypted, and the site names no key.</exception>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="TestSmcRecoveryCommand"/>
/// <seealso cref="SendSmcAlertCommand"/>
/// <seealso cref="SendSmcHeartbeatCommand"/>
/// <seealso cref="CopySmcBackupCommand"/>
[Cmdlet(VerbsDiagnostic.Test, "SmcBackup")]
[OutputType(typeof(BackupTestResult), typeof(bool))]
public sealed class TestSmcBackupCommand : JobCmdlet
{
    private readonly List<(string Id, Component? Component)> _backups = [];
    private bool _asked;

    /// <summary>The backups, as Get-SmcBackup gives them. Without it, all that count as complete.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("BackupId")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string[]? Id { get; set; }

    /// <summary>The component of the backups. Needed only where two have a backup of the same id.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public Component? Component { get; set; }

    /// <summary>Reads every byte.</summary>
    [Parameter]
    public SwitchParameter Deep { get; set; }

    /// <summary>With -Deep, does not read again what was found right within this time, such as 7d.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? VerifiedWithin { get; set; }

    /// <summary>
    /// Everything of the site must have a complete backup that began within this time, such as 26h; what has none fails. Without -Id, of
    /// each only that backup is verified.
    /// </summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? NewerThan { get; set; }

    /// <summary>Returns only whether nothing failed.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _asked = true;
        _backups.AddRange((Id ?? []).Select(id => (id, Component)));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (!_asked)
        {
            pipeline.WriteWarning("No backup came through the pipeline, so nothing is verified.");
            return;
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        bool passed = true;
        if (AsKubernetesJob)
        {
            await RunAsJobsAsync(pipeline, site, WriteAsync, cancellationToken).ConfigureAwait(false);
            await WriteAnswerAsync().ConfigureAwait(false);
            return;
        }

        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        BackupVerification verification = new(
            repository, new BackupVerificationOptions { Deep = Deep, VerifiedWithin = VerifiedWithin }, pipeline);
        List<(Component Component, string Id)> backups = [];
        foreach ((string id, Component? component) in _backups)
        {
            backups.Add((await repository.FindComponentAsync(id, component, cancellationToken).ConfigureAwait(false), id));
        }

        if (NewerThan is { } newerThan)
        {
            foreach (BackupTestResult result in await verification
                .CheckAgeAsync(site.GetExpectedBackups(), newerThan, cancellationToken).ConfigureAwait(false))
            {
                if (result.Outcome != "Passed")
                {
                    await WriteAsync(result).ConfigureAwait(false);
                }
                else if (_backups.Count == 0)
                {
                    backups.Add((Enum.Parse<Component>(result.Component), result.Id));
                }
            }
        }

        IAsyncEnumerable<BackupTestResult> results = backups.Count == 0 && NewerThan is null
            ? verification.RunAsync(cancellationToken)
            : verification.RunAsync(backups, cancellationToken);
        await foreach (BackupTestResult result in results.ConfigureAwait(false))
        {
            await WriteAsync(result).ConfigureAwait(false);
        }

        await WriteAnswerAsync().ConfigureAwait(false);

        Task WriteAnswerAsync() => Quiet ? pipeline.WriteObjectAsync(passed) : Task.CompletedTask;

        async Task WriteAsync(BackupTestResult result)
        {
            passed &= result.Outcome != "Failed";
            if (!Quiet)
            {
                await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
                return;
            }

            pipeline.WriteVerbose($"{result.Outcome}: {result.Id} {string.Join(' ', result.Problems)}");
        }
    }

    private async Task RunAsJobsAsync(SmcPipeline pipeline, Site site, Func<BackupTestResult, Task> onResult, CancellationToken cancellationToken)
    {
        List<string> options = Options(("--deep", Deep), ("--verified-within", VerifiedWithin), ("--newer-than", NewerThan));
        if (_backups.Count == 0)
        {
            await AddJobsAsync(pipeline, site, JobCommand.TestBackup, options, [], isAsked: false).ConfigureAwait(false);
        }

        foreach (IGrouping<Component?, string> backups in _backups.GroupBy(static backup => backup.Component, static backup => backup.Id))
        {
            string[] arguments = [.. backups, .. options, .. Options(("--component", backups.Key))];
            await AddJobsAsync(pipeline, site, JobCommand.TestBackup, arguments, [], isAsked: false).ConfigureAwait(false);
        }

        await RunJobsAsync(pipeline, onResult, cancellationToken).ConfigureAwait(false);
    }
}
