using System.Management.Automation;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Brings one database back from a logical backup, while the server and its other databases stay as they are.</summary>
/// <remarks>
/// <para>
/// Everything that can be checked is checked first, and -WhatIf shows the plan. Then the site's writers in Kubernetes are stopped, the present state is saved as an emergency backup, nobody is let into the
/// database any more, and it is renamed: it is never dropped. The backup is restored to a new database, the rows of every table are counted and
/// compared with the backup, and only then are sessions let in and the writers started.
/// </para>
/// <para>
/// Where the repository fails, the backup is read from the site's copies, and there is no emergency backup. That is a warning only. The emergency backup is not
/// copied to the site's copies: Copy-SmcBackup does that when there is time again.
/// </para>
/// <para>
/// Where a step fails, the error says under which name the earlier database is, and which commands bring it back.
/// </para>
/// </remarks>
/// <example>
/// <code>Invoke-SmcDatabaseRecovery smc_trading -WhatIf</code>
/// Shows what recovering from the newest complete logical backup would do.
/// </example>
/// <example>
/// <code>(Invoke-SmcDatabaseRecovery smc_trading -BackupId 20261122T023000Z-logical -Confirm:$false).Tables | Sort-Object Rows -Descending</code>
/// Recovers from a certain backup, and shows the rows of every table.
/// </example>
/// <example>
/// <code>$backup = Get-SmcBackup -Component Database -State Complete | Where-Object { $_.Kind -eq 'Logical' -and $_.StartTime -lt '2026-11-05T10:00Z' } |
///     Select-Object -Last 1
/// Invoke-SmcDatabaseRecovery smc_trading -BackupId $backup.Id -Parallelism 4</code>
/// Recovers from the last logical backup before an instant, with four tables or indexes at a time.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: No complete logical backup holds the database.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.VerificationFailed"/>: The rows that came back are not those of the backup; the message says under which name the earlier
/// database is.
/// </exception>
/// <seealso cref="BackupSmcDatabaseCommand"/>
/// <seealso cref="RestoreSmcDatabaseCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="SuspendSmcWorkloadCommand"/>
/// <seealso cref="ResumeSmcWorkloadCommand"/>
[Cmdlet(VerbsLifecycle.Invoke, "SmcDatabaseRecovery", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(DatabaseRestoreResult))]
public sealed class InvokeSmcDatabaseRecoveryCommand : SiteCmdlet
{
    /// <summary>The database.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DatabaseCompleter))]
    public string Database { get; set; } = "";

    /// <summary>The logical backup. Without it, the newest complete one that holds the database; emergency backups are used only where they are named.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>Does not back the present state up first. It is kept under another name in any case.</summary>
    [Parameter]
    public SwitchParameter NoEmergencyBackup { get; set; }

    /// <summary>How many tables and indexes are restored at a time. More than one needs room for the dump in the temporary directory.</summary>
    [Parameter]
    [ValidateRange(1, 64)]
    public int Parallelism { get; set; } = 1;

    /// <summary>Gives everything to the user that restores, without the privileges of others.</summary>
    [Parameter]
    public SwitchParameter NoOwner { get; set; }

    /// <summary>Does not stop the site's writers, which are workloads of its Kubernetes cluster. Their sessions are ended all the same.</summary>
    [Parameter]
    public SwitchParameter LeaveWriters { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        Repository repository = await site.OpenForReadingAsync(secrets, pipeline, cancellationToken).ConfigureAwait(false);
        PostgresConnector connector = site.CreateConnector(secrets);
        DatabaseRecoveryOptions options = new()
        {
            Database = Database,
            BackupId = BackupId,
            SkipEmergencyBackup = NoEmergencyBackup,
            Parallelism = Parallelism,
            NoOwner = NoOwner,
            Writers = LeaveWriters ? null : site.CreateWriters(pipeline),
            Site = site.Name,
            BinDirectory = site.GetDatabase().BinDirectory,
        };
        DatabaseRecoveryPlan plan = await DatabaseOnlyRecovery
            .PlanAsync(connector, repository, options, pipeline, cancellationToken).ConfigureAwait(false);
        string description = string.Join(
            Environment.NewLine, [$"Recover the database '{Database}' at {connector.Display}.", .. plan.Describe().Select(static line => $"  - {line}")]);
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this plan out?", $"Recover the database '{Database}'").ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(await DatabaseOnlyRecovery
                .RunAsync(plan, connector, token => site.OpenRepositoryAsync(secrets, token), pipeline, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        }
    }
}
