using System.Management.Automation;
using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Backs up the Redis server of the site's primary region while it is in use.</summary>
/// <remarks>
/// <para>
/// By default the server sends its data as it does to a new replica, straight into the site's repository, which is created by the first backup.
/// Nothing is installed or written on the server; the backup works from anywhere that reaches its port. With -Method BgSave the server saves to its own file, which is
/// read on its host: for servers that do not offer replication.
/// </para>
/// <para>
/// The backup is the server's RDB as it is. Its checksum is verified on the way, and what it holds is read: keys, times to live and bytes for each
/// database and type, functions and modules. A damaged one never becomes a backup. One in a format that this version does not know does, since
/// its checksum is right, with a warning, and KeyCount stays empty then.
/// </para>
/// <para>
/// Of an ACL the user needs +info +psync +replconf, for BgSave +info +bgsave +lastsave, and in both cases +config|get, so that the backup says how
/// the server was set. Test-SmcSite tells what is missing.
/// </para>
/// <para>
/// Nothing holds Redis and PostgreSQL at one instant: SkewSeconds says how far the backup lies from the newest one of the database. Of a cluster
/// the backup holds the slots of the node that is named.
/// </para>
/// <para>
/// Where the site lists copies, the backup is copied to each of them when it is complete. A copy that fails is a warning, and CopyState is Incomplete
/// then: the backup stands, and Copy-SmcBackup makes up for it.
/// </para>
/// <para>
/// With -AsKubernetesJob it runs as a Job in the cluster of the site's primary region, by the image that the site file names (kubernetes.job), and is
/// followed from here. Several sites from the pipeline run at once. Ctrl+C stops the following; the Job goes on, unless -CancelOnStop ends it.
/// </para>
/// </remarks>
/// <example>
/// <code>Backup-SmcRedis -Label 'before the upgrade'</code>
/// Backs up the Redis of the session's current site.
/// </example>
/// <example>
/// <code>Backup-SmcRedis -PreferReplica | Format-List Id, Source, KeyCount, SkewSeconds</code>
/// Spares the master where a replica is in step, and shows which server gave the data.
/// </example>
/// <example>
/// <code>Backup-SmcRedis -Method BgSave -RdbPath /mnt/redis/dump.rdb</code>
/// Has the server save, and reads the file where this host sees it.
/// </example>
/// <example>
/// <code>Get-ChildItem /etc/smcdr/*.yaml | Backup-SmcRedis -AsKubernetesJob</code>
/// Backs up the Redis of each of these sites at once, by Jobs in their clusters.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.PrivilegeMissing"/>: The user lacks a command of the ACL that the message names.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RdbInvalid"/>: What the server sent is damaged: no backup was made of it.</exception>
/// <seealso cref="RestoreSmcRedisCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="BackupSmcSystemCommand"/>
[Cmdlet(VerbsData.Backup, "SmcRedis", SupportsShouldProcess = true)]
[OutputType(typeof(BackupInfo))]
public sealed class BackupSmcRedisCommand : BackupJobCmdlet
{
    /// <summary>How the data is had: Replication from anywhere, BgSave by the server's own file on this host. Without it, as the site file says.</summary>
    [Parameter]
    public RedisBackupMethod? Method { get; set; }

    /// <summary>
    /// Backs up a replica in the server's place where one is in step, and else the server itself, with a warning. With -PreferReplica:$false the server itself,
    /// whatever the site file says.
    /// </summary>
    [Parameter]
    public SwitchParameter PreferReplica { get; set; }

    /// <summary>For -Method BgSave: the file that the server saves to, as it is seen here. Without it, as the site file or the server says.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? RdbPath { get; set; }

    /// <summary>A label by which people recognize the backup.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Label { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadInputAsync(pipeline).ConfigureAwait(false);
        bool isGiven = MyInvocation.BoundParameters.ContainsKey(nameof(PreferReplica));
        if (AsKubernetesJob)
        {
            await AddJobsAsync(
                pipeline,
                site,
                JobCommand.BackupRedis,
                Options(
                    ("--method", Method),
                    ("--prefer-replica", isGiven ? PreferReplica.IsPresent ? "true" : "false" : null),
                    ("--rdb-path", RdbPath),
                    ("--label", Label)),
                []).ConfigureAwait(false);
            return;
        }

        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        RedisConnector connector = site.CreateRedisConnector(secrets);
        RedisBackupOptions options = site.CreateRedisBackupOptions(
            Method, isGiven ? PreferReplica.IsPresent : null);
        options = options with { Label = Label };
        if (RdbPath is not null)
        {
            options = options with { RdbPath = await FilePaths.ResolveAsync(pipeline, RdbPath).ConfigureAwait(false) };
        }

        if (!await pipeline.ShouldProcessAsync(
            $"Redis at {connector.Display}", $"Back up all keys to {site.Repository.Location}").ConfigureAwait(false))
        {
            return;
        }

        Repository repository = await site.OpenOrCreateRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        BackupInfo backup = await RedisBackup.RunAsync(connector, repository, options, pipeline, cancellationToken).ConfigureAwait(false);
        await FinishBackupAsync(pipeline, site, secrets, repository, backup, cancellationToken).ConfigureAwait(false);
    }
}
