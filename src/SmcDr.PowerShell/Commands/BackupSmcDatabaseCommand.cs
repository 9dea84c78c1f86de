using System.Management.Automation;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Backs up the database cluster of the site's primary region while it is in use.</summary>
/// <remarks>
/// <para>
/// The files of the cluster are read over ordinary connections, checked and stored in the site's repository, which is created by the
/// first backup. Nothing is installed on the server. With the WAL that follows it, which Start-SmcWalStream brings, the backup can be
/// recovered to any instant from its end on.
/// </para>
/// <para>
/// The first backup is a full one. Later ones build on the newest that is sound: files that have not changed are not read, and of those that
/// have, the server compares pages with known hashes and sends only what differs. Each backup still restores on its own, and as fast as a
/// full one. A full one is made again as often as the site's repository.fullEvery says, with -Full, and where no backup can be built on.
/// </para>
/// <para>
/// Where the site lists copies, the backup and all WAL are copied to each of them when it is complete. A copy that fails is a warning, and
/// CopyState is Incomplete then: the backup stands, and Copy-SmcBackup makes up for it.
/// </para>
/// <para>
/// A backup that is stopped or interrupted is worthless and leaves nothing on the server; in the repository it is listed as
/// incomplete.
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
[Cmdlet(VerbsData.Backup, "SmcDatabase", SupportsShouldProcess = true)]
[OutputType(typeof(BackupInfo))]
public sealed class BackupSmcDatabaseCommand : SiteCmdlet
{
    /// <summary>How it is backed up. Physical, the only method, copies the files of the whole cluster.</summary>
    [Parameter]
    public BackupMethod Method { get; set; } = BackupMethod.Physical;

    /// <summary>Reads and stores everything, although there is a backup to build on.</summary>
    [Parameter]
    public SwitchParameter Full { get; set; }

    /// <summary>A label by which people recognize the backup.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Label { get; set; }

    /// <summary>How many connections read files at a time. Without it, a number that fits this machine.</summary>
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
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        PostgresConnector connector = site.CreateConnector(secrets);
        BaseBackupOptions options = site.CreateBackupOptions() with
        {
            Full = Full,
            Label = Label,
            Parallelism = Parallelism,
            NewCluster = NewCluster,
        };
        if (!await pipeline.ShouldProcessAsync(
            $"PostgreSQL at {connector.Display}", $"Back up the database cluster to {site.Repository.Location}").ConfigureAwait(false))
        {
            return;
        }

        Repository repository = await site.OpenOrCreateRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        BackupInfo backup = await BaseBackup.RunAsync(connector, repository, options, pipeline, cancellationToken).ConfigureAwait(false);
        await FinishBackupAsync(pipeline, site, secrets, repository, backup, cancellationToken).ConfigureAwait(false);
    }
}
