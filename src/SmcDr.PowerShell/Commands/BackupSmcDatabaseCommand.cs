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
/// A backup that is stopped or interrupted is worthless and leaves nothing on the server; in the repository it is listed as
/// incomplete.
/// </para>
/// </remarks>
/// <example>
/// <code>Backup-SmcDatabase -Label 'before the upgrade'</code>
/// Backs up the database of the session's current site.
/// </example>
[Cmdlet(VerbsData.Backup, "SmcDatabase", SupportsShouldProcess = true)]
[OutputType(typeof(BackupInfo))]
public sealed class BackupSmcDatabaseCommand : SiteCmdlet
{
    /// <summary>How it is backed up. Physical, the only method, copies the files of the whole cluster.</summary>
    [Parameter]
    public BackupMethod Method { get; set; } = BackupMethod.Physical;

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
        PostgresConnector connector = site.CreateConnector(SiteArguments.CreateSecrets(pipeline));
        BaseBackupOptions options = site.CreateBackupOptions() with
        {
            Label = Label,
            Parallelism = Parallelism,
            NewCluster = NewCluster,
        };
        if (!await pipeline.ShouldProcessAsync(
            $"PostgreSQL at {connector.Display}", $"Back up the database cluster to {site.Repository.Location}").ConfigureAwait(false))
        {
            return;
        }

        Repository repository = await site.OpenOrCreateRepositoryAsync(cancellationToken).ConfigureAwait(false);
        BackupInfo backup = await BaseBackup.RunAsync(connector, repository, options, pipeline, cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(backup).ConfigureAwait(false);
        await site.LockNewBackupAsync(repository, backup, pipeline, cancellationToken).ConfigureAwait(false);
    }
}
