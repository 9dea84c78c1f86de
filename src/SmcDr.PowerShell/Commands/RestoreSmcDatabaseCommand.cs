using System.Management.Automation;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Restores a database cluster on this host from a backup and all the WAL behind it, or databases from a logical backup.</summary>
/// <remarks>
/// <para>
/// The kind of the backup decides. A logical one is restored over connections to the site's server, wherever that runs: each database to a new one beside,
/// whose rows are counted and compared with the backup before it gets its name. With -Table or -Schema a part of it comes into the
/// existing database, in one transaction.
/// </para>
/// <para>
/// Of a physical backup:
/// Everything is read and checked first: the backup, the WAL, the room on the disks, and that no server runs in the directory. The plan
/// is then shown by -WhatIf, and by the question that only -Confirm:$false answers. What was in the directory is moved aside and never
/// deleted. The recovered server comes up on a new timeline: take a new base backup of it.
/// </para>
/// <para>
/// Interrupted at whatever moment, the same command continues where it stopped. To an instant instead of the end of the archive,
/// use Invoke-SmcPointInTimeRecovery.
/// </para>
/// </remarks>
/// <example>
/// <code>Restore-SmcDatabase -Force -WhatIf</code>
/// Shows what restoring from the newest backup to the end of the archive would do.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Select-Object -Last 1 | Restore-SmcDatabase -DataDirectory /srv/copy -Setting @{ port = 5433 } -Immediate</code>
/// Restores the newest backup beside the running server, as it was when it was taken.
/// </example>
/// <example>
/// <code>Restore-SmcDatabase -Delta -WhatIf</code>
/// Shows how the stopped server's data directory would be made like the newest backup in place, keeping what is right in it.
/// </example>
/// <example>
/// <code>Restore-SmcDatabase -AsSideInstance -DataDirectory /srv/copy -Port 5433 -ListenLocally</code>
/// Starts a copy of the cluster beside it that touches nothing of production.
/// </example>
/// <example>
/// <code>Restore-SmcDatabase 20261122T023000Z-logical -Database smc_trading -TargetDatabase smc_trading_copy</code>
/// Restores a database from a logical backup beside the one in use.
/// </example>
/// <example>
/// <code>Restore-SmcDatabase 20261122T023000Z-logical -Database smc_trading -Table public.trades -Clean</code>
/// Puts one table back, with its indexes, constraints and privileges.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.TargetNotEmpty"/>: The data directory holds something, and neither -Force nor -Delta is given.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetInUse"/>: A server runs in the data directory: stop it first.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DiskSpaceInsufficient"/>: There is no room for what is restored.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>: This host has no PostgreSQL programs of the backup's major version.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupUnsuitable"/>: The backup cannot be used for what was asked.</exception>
/// <seealso cref="InvokeSmcPointInTimeRecoveryCommand"/>
/// <seealso cref="InvokeSmcDatabaseRecoveryCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso cref="ExportSmcTableCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsData.Restore, "SmcDatabase", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RecoveryResult), typeof(DatabaseRestoreResult))]
public sealed class RestoreSmcDatabaseCommand : RecoveryCmdlet
{
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private bool _asked;

    /// <summary>The base backup to begin with, as Get-SmcBackup and Get-SmcRecoveryWindow give it. Without it, the newest.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>Stops as soon as the backup is consistent, instead of replaying all the WAL behind it.</summary>
    [Parameter]
    public SwitchParameter Immediate { get; set; }

    /// <summary>Of a logical backup, these databases. Without it, all that it holds.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DatabaseCompleter))]
    public string[] Database { get; set; } = [];

    /// <summary>The database that a database of a logical backup is restored to. Without it, the one of the same name.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DatabaseCompleter))]
    public string? TargetDatabase { get; set; }

    /// <summary>
    /// Of a logical backup, replaces what is there: ends the sessions of a database and drops it once the new one is complete; with -Table or -Schema, drops
    /// those objects first.
    /// </summary>
    [Parameter]
    public SwitchParameter Clean { get; set; }

    /// <summary>Of a logical backup, only these tables, views and sequences with all that belongs to them, as name or schema.name.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Table { get; set; } = [];

    /// <summary>Of a logical backup, only what is in these schemas.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Schema { get; set; } = [];

    /// <summary>Of a logical backup, restores roles and tablespaces first. Roles that exist get the attributes and passwords of the backup.</summary>
    [Parameter]
    public SwitchParameter Globals { get; set; }

    /// <summary>Of a logical backup, gives everything to the user that restores, without the privileges of others.</summary>
    [Parameter]
    public SwitchParameter NoOwner { get; set; }

    private bool HasLogicalArguments =>
        Database.Length > 0 || TargetDatabase is not null || Clean || Table.Length > 0 || Schema.Length > 0 || Globals || NoOwner;

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _asked = true;
        if (BackupId is not null)
        {
            _ids.Add(BackupId);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // A pipeline that brought nothing asks for nothing: the newest backup was not meant.
        if (!_asked)
        {
            pipeline.WriteWarning("No backup came through the pipeline, so nothing is restored.");
            return;
        }

        if (_ids.Count > 1)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"{_ids.Count} backups were given, and a directory can hold only one.",
                recommendation: "Choose one, such as by 'Select-Object -Last 1' for the newest.");
        }

        string? id = _ids.SingleOrDefault();
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository? repository = null;
        if (id is not null)
        {
            repository = await site
                .OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
            if (await repository.TryOpenLogicalBackupAsync(id, cancellationToken).ConfigureAwait(false) is { } logical)
            {
                await RestoreLogicalAsync(pipeline, site, logical, cancellationToken).ConfigureAwait(false);
                return;
            }
        }

        if (HasLogicalArguments)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "-Database, -TargetDatabase, -Clean, -Table, -Schema, -Globals and -NoOwner are for logical backups, and none was given.",
                recommendation: "Give the id of a logical backup, as Get-SmcBackup lists it.",
                target: id);
        }

        RecoveryTarget target = Immediate ? RecoveryTarget.Immediate : RecoveryTarget.Latest;
        await RecoverAsync(pipeline, repository, id, target, cancellationToken).ConfigureAwait(false);
    }

    private async Task RestoreLogicalAsync(SmcPipeline pipeline, Site site, BackupReader backup, CancellationToken cancellationToken)
    {
        if (DataDirectory is not null || TablespaceLocation is not null || SystemId is not null || Setting is not null || Force || NoStart || Immediate ||
            Delta || AsSideInstance)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "-DataDirectory, -TablespaceLocation, -SystemId, -Setting, -Force, -NoStart, -Immediate, -Delta and -AsSideInstance are for physical backups.",
                recommendation: $"Leave them out: '{backup.Header.Id}' is restored over connections to the site's server.",
                target: backup.Header.Id);
        }

        PostgresConnector connector = site.CreateConnector(SiteArguments.CreateSecrets(pipeline));
        LogicalRestoreOptions options = new()
        {
            Databases = Database,
            TargetDatabase = TargetDatabase,
            Clean = Clean,
            Tables = Table,
            Schemas = Schema,
            Globals = Globals,
            NoOwner = NoOwner,
            Parallelism = Parallelism ?? 1,
            BinDirectory = site.GetDatabase().BinDirectory,
        };
        LogicalRestorePlan plan = await LogicalRestore.PlanAsync(connector, backup, options, pipeline, cancellationToken).ConfigureAwait(false);
        string description = string.Join(
            Environment.NewLine, [$"Restore '{plan.BackupId}' to PostgreSQL at {plan.Server}.", .. plan.Describe().Select(static line => $"  - {line}")]);
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this plan out?", $"Restore databases at {plan.Server}").ConfigureAwait(false))
        {
            foreach (DatabaseRestoreResult result in await LogicalRestore.RunAsync(plan, connector, pipeline, cancellationToken).ConfigureAwait(false))
            {
                await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
            }
        }
    }
}
