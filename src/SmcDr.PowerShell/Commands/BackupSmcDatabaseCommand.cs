using System.Management.Automation;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Backs up the database cluster of the site's primary region while it is in use.</summary>
/// <remarks>
/// <para>
/// A physical backup, the default, reads the files of the cluster over ordinary connections, checks and stores them in the site's
/// repository, which is created by the first backup. Nothing is installed on the server. With the WAL that follows it, which
/// Start-SmcWalStream brings, the backup can be recovered to any instant from its end on.
/// </para>
/// <para>
/// A logical backup holds the content of databases, one archive of pg_dump for each, and roles and tablespaces. It needs PostgreSQL's client programs on this machine, not
/// older than the server. No WAL can be replayed on it; but it can be restored in part, beside, on another server and by a newer version.
/// </para>
/// <para>
/// -Emergency saves as much of all databases as can be read, at once, and is kept until somebody removes it. What cannot be read is named, and the
/// state of the backup is Partial then.
/// </para>
/// <para>
/// The first backup is a full one. Later ones build on the newest that is sound: files that have not changed are not read, and of those that
/// have, the server compares pages with known hashes and sends only what differs. Each backup still restores on its own, and as fast as a
/// full one. On the server's own host the files are read, and compared, without the server, by an account that may: root or the server's
/// (-Verbose says so). A full one is made again as often as the site's repository.fullEvery says, with -Full, and where no backup can be built on.
/// </para>
/// <para>
/// Where the site lists copies, the backup, and with a physical one all WAL, is copied to each of them when it is complete. A copy that fails is a warning, and
/// CopyState is Incomplete then: the backup stands, and Copy-SmcBackup makes up for it.
/// </para>
/// <para>
/// A backup that is stopped or interrupted is worthless and leaves nothing on the server; in the repository it is listed as
/// incomplete.
/// </para>
/// <para>
/// With -AsKubernetesJob it runs as a Job in the cluster of the site's primary region, by the image that the site file names (kubernetes.job), and is
/// followed from here. Several sites from the pipeline, and several databases of a logical backup, run at once. Ctrl+C stops the following; the Job goes
/// on, unless -CancelOnStop ends it.
/// </para>
/// </remarks>
/// <example>
/// <code>Backup-SmcDatabase -Label 'before the upgrade'</code>
/// Backs up the database of the session's current site.
/// </example>
/// <example>
/// <code>Backup-SmcDatabase -Full | Format-List Id, Kind, SizeBytes, SentBytes, StoredBytes</code>
/// Reads and stores everything, as after a doubt about the storage, and shows how much that was.
/// </example>
/// <example>
/// <code>Backup-SmcDatabase -FromStandby</code>
/// Reads from the standby that the site file names under 'standby', so that the primary is spared.
/// </example>
/// <example>
/// <code>Backup-SmcDatabase -Method Logical -Database smc_trading</code>
/// Dumps one database, with the rows of each of its tables counted.
/// </example>
/// <example>
/// <code>Get-ChildItem /etc/smcdr/*.yaml | Backup-SmcDatabase -AsKubernetesJob</code>
/// Backs up the databases of all these sites at once, each by a Job in its own cluster.
/// </example>
/// <example>
/// <code>Backup-SmcDatabase -Emergency</code>
/// Saves what can be saved, before somebody tries to repair a damaged server.
/// </example>
/// <example>
/// <code>Backup-SmcDatabase -WhatIf</code>
/// Says which server would be backed up to which repository, and does nothing.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.SystemIdMismatch"/>: The server is another cluster than those that the repository knows: usually a wrong address, else
/// -NewCluster.
/// </exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.BackupInterrupted"/>: The session that had begun the backup broke; what was stored is worthless, and the command must be run
/// again.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.WalTimeout"/>: The WAL that makes the backup consistent did not reach the repository.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: The region does not lead the site any more: its backups are refused.</exception>
/// <seealso cref="StartSmcWalStreamCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="TestSmcRecoveryCommand"/>
/// <seealso cref="RestoreSmcDatabaseCommand"/>
/// <seealso cref="InvokeSmcPointInTimeRecoveryCommand"/>
/// <seealso cref="RegisterSmcScheduleCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsData.Backup, "SmcDatabase", SupportsShouldProcess = true, DefaultParameterSetName = MethodSet)]
[OutputType(typeof(BackupInfo))]
public sealed class BackupSmcDatabaseCommand : BackupJobCmdlet
{
    private const string MethodSet = "Method";
    private const string EmergencySet = "Emergency";

    /// <summary>How it is backed up: Physical copies the files of the whole cluster, Logical dumps databases.</summary>
    [Parameter(ParameterSetName = MethodSet)]
    public BackupMethod Method { get; set; } = BackupMethod.Physical;

    /// <summary>Reads and stores everything, although there is a backup to build on.</summary>
    [Parameter]
    public SwitchParameter Full { get; set; }

    /// <summary>
    /// Reads the files of a physical backup from the standby that the site names, and not from the primary. The standby must stay one to the end: a
    /// promotion makes the backup fail.
    /// </summary>
    [Parameter(ParameterSetName = MethodSet)]
    public SwitchParameter FromStandby { get; set; }

    /// <summary>Saves all that can be read, whatever state the server is in, and keeps it until somebody removes it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = EmergencySet)]
    public SwitchParameter Emergency { get; set; }

    /// <summary>The databases of a logical or emergency backup. Without it, all that are no templates and take connections.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DatabaseCompleter))]
    public string[] Database { get; set; } = [];

    /// <summary>
    /// Lets the server count the rows of every table in the snapshot of a logical backup, and compares them with the rows that were dumped. Those
    /// are counted in any case; this also finds rows that a damaged index hides from pg_dump or from queries.
    /// </summary>
    [Parameter]
    public SwitchParameter ExactRowCount { get; set; }

    /// <summary>Leaves the passwords of roles, as the server stores them, out of a logical backup.</summary>
    [Parameter]
    public SwitchParameter NoRolePassword { get; set; }

    /// <summary>A label by which people recognize the backup.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Label { get; set; }

    /// <summary>How many connections read files, or databases are dumped, at a time. Without it, a number that fits this machine.</summary>
    [Parameter]
    [ValidateRange(1, 64)]
    public int? Parallelism { get; set; }

    /// <summary>
    /// Accepts a database cluster that the repository does not know yet, beside those that it knows: after pg_upgrade or initdb. Without it,
    /// another cluster than the repository's is refused, since it usually means a wrong address.
    /// </summary>
    [Parameter]
    public SwitchParameter NewCluster { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        bool isLogical = Emergency || Method == BackupMethod.Logical;
        if (!isLogical && (Database.Length > 0 || ExactRowCount || NoRolePassword))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A physical backup holds the whole cluster: -Database, -ExactRowCount and -NoRolePassword are for logical ones.",
                recommendation: "Add -Method Logical.");
        }

        if (isLogical && FromStandby)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "-FromStandby is for physical backups.",
                recommendation: "Leave -FromStandby out.");
        }

        if (isLogical && Full)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "-Full is for physical backups: a logical backup always holds everything.",
                recommendation: "Leave -Full out.");
        }

        Site site = await LoadInputAsync(pipeline).ConfigureAwait(false);
        if (AsKubernetesJob)
        {
            await AddJobsAsync(pipeline, site, JobCommand.BackupDatabase, JobOptions(), Database).ConfigureAwait(false);
            return;
        }

        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        PostgresConnector primary = site.CreateConnector(secrets);
        PostgresConnector connector = FromStandby ? site.CreateStandbyConnector(secrets) : primary;
        string what = !isLogical ? "the database cluster"
            : Database.Length > 0 ? $"the content of the databases {string.Join(", ", Database)}"
            : "the content of all databases";
        if (!await pipeline.ShouldProcessAsync(
            $"PostgreSQL at {connector.Display}", $"Back up {what} to {site.Repository.Location}").ConfigureAwait(false))
        {
            return;
        }

        Repository repository = await site.OpenOrCreateRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        BackupInfo backup = isLogical
            ? await LogicalBackup.RunAsync(connector, repository, LogicalOptions(site), pipeline, cancellationToken).ConfigureAwait(false)
            : await BaseBackup.RunAsync(connector, repository, PhysicalOptions(site, primary), pipeline, cancellationToken).ConfigureAwait(false);
        await FinishBackupAsync(pipeline, site, secrets, repository, backup, cancellationToken).ConfigureAwait(false);
    }

    private List<string> JobOptions() => Options(
        ("--method", Method == BackupMethod.Logical ? Method : null),
        ("--emergency", Emergency),
        ("--full", Full),
        ("--from-standby", FromStandby),
        ("--exact-row-count", ExactRowCount),
        ("--no-role-password", NoRolePassword),
        ("--label", Label),
        ("--parallelism", Parallelism),
        ("--new-cluster", NewCluster));

    private BaseBackupOptions PhysicalOptions(Site site, PostgresConnector primary) => site.CreateBackupOptions() with
    {
        Full = Full,
        Primary = FromStandby ? primary : null,
        Label = Label,
        Parallelism = Parallelism,
        NewCluster = NewCluster,
    };

    private LogicalBackupOptions LogicalOptions(Site site) => site.CreateLogicalBackupOptions() with
    {
        Databases = Database,
        Emergency = Emergency,
        ExactRowCount = ExactRowCount,
        RolePasswords = !NoRolePassword,
        Label = Label,
        Parallelism = Parallelism,
        NewCluster = NewCluster,
    };
}
