using System.Management.Automation;
using SmcDr.Core.Objectives;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Restores a Redis server from a backup: all of it, databases of it, or the keys that you name.</summary>
/// <remarks>
/// <para>
/// By default, and where the server answers, keys are written to it while it is in use, each by RESTORE with REPLACE: keys of the same name are replaced, others
/// stay unless -Empty removes them first. Keys whose time to live has passed by the server's clock are left out and counted. A cluster gets each key on
/// the master that has its slot; a replica is refused, and its master named.
/// </para>
/// <para>
/// Everything is looked at before anything is changed: whether the user may do what is needed, whether the server takes writes, knows the backup's version,
/// has the memory and the databases, and whether Sentinel watches it. The plan says how many keys the server has, and -WhatIf shows no more than the plan.
/// </para>
/// <para>
/// Afterwards the number of keys in each database is compared with the backup, and values and times to live of up to a thousand keys that are chosen by chance. State is
/// Partial where keys were not taken or something differs; Problems says which and why. A restore that broke off says how much the server has: the same
/// command again writes every key anew.
/// </para>
/// <para>
/// With -Method Offline the whole backup becomes what the server of this host starts with; it chooses neither databases nor keys. The server is stopped without saving once
/// the backup lies proven beside its files, what it had is moved aside under names that end with .before- and the time, and it is started by its service or its
/// configuration file. With an append-only file, the backup becomes the beginning of that. A server that does not start with it gets back what it had. The command runs
/// as root or as the account of the server, and the site file's dataDirectory, configFile, service and binDirectory say where the server is, as far as it does
/// not say so itself. Interrupted, the same command goes on.
/// </para>
/// <para>
/// A Redis in Kubernetes is restored offline on its volume claim: its workload is scaled to none, a helper pod brings the file to the volume, and the workload is
/// started again. What it had lies aside on the same volume until somebody removes it, and is put back where the server does not start with what was restored.
/// </para>
/// <para>
/// Of an ACL the user needs ~* +info +time +select +restore; for -Empty +flushall, or +flushdb with -Database; for functions +function|restore; for
/// a cluster +cluster|slots; to compare +dump +pexpiretime. With +config|get and +client|list more is known beforehand.
/// </para>
/// </remarks>
/// <example>
/// <code>Restore-SmcRedis -Empty -WhatIf</code>
/// Shows what replacing everything on the site's server by the newest backup would do.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component Redis | Where-Object StartTime -lt '2026-11-05T10:00Z' |
///     Select-Object -Last 1 | Restore-SmcRedis -KeyPattern 'session:*', 'cart:*'</code>
/// Puts back the sessions and carts of the last backup before an instant, and leaves all other keys alone.
/// </example>
/// <example>
/// <code>Restore-SmcRedis -Database 0 -Endpoint redis-west:6379 -Credential (Get-Credential default)</code>
/// Restores database 0 of the newest backup to another server.
/// </example>
/// <example>
/// <code>Restore-SmcRedis -Method Offline</code>
/// Stops the site's server on this host, puts the newest backup in place of what it has, starts it and compares.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetIsReplica"/>: The server is a replica; the message names its master.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetMemoryInsufficient"/>: maxmemory would not hold what is restored.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RdbNewer"/>: The server is older than the backup, and does not know what is in it.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RestoreInterrupted"/>: The restore broke off: the server has a part of the keys.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RestoreUndone"/>: The server did not start with the backup, and has what it had before.</exception>
/// <seealso cref="BackupSmcRedisCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
[Cmdlet(VerbsData.Restore, "SmcRedis", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RedisRestoreResult))]
public sealed class RestoreSmcRedisCommand : SiteCmdlet
{
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private bool _asked;

    /// <summary>The backup, as Get-SmcBackup gives it. Without it, the newest of the site.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("Id", "Backup")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>
    /// Online writes keys to the running server. Offline stops it, puts its file in place and starts it again, on its own host or in its workload in Kubernetes.
    /// Without it, Online where the server answers, and Offline where it does not and the site file names its dataDirectory or workload.
    /// </summary>
    [Parameter]
    public RedisRestoreMethod? Method { get; set; }

    /// <summary>Restores only these databases, by number.</summary>
    [Parameter]
    [ValidateRange(0, int.MaxValue)]
    public int[] Database { get; set; } = [];

    /// <summary>Restores only keys whose names match one of these patterns, as KEYS and SCAN of Redis match them: *, ?, [a-z].</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] KeyPattern { get; set; } = [];

    /// <summary>Removes all keys of the server first; with -Database, those of these databases alone. Keys that are not in the backup are lost then.</summary>
    [Parameter]
    public SwitchParameter Empty { get; set; }

    /// <summary>How many connections write to each server at a time.</summary>
    [Parameter]
    [ValidateRange(1, RedisRestoreOptions.MaximumParallelism)]
    public int? Parallelism { get; set; }

    /// <summary>Another server than the site's, as host and port. It is connected to as -Credential says, and otherwise as the site's.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Endpoint { get; set; }

    /// <summary>The user that connects and its password, in the place of the site's; for a server that has a password alone, the user default.</summary>
    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    /// <summary>Whether the connection is encrypted. Without it, as the site file says.</summary>
    [Parameter]
    public SwitchParameter Tls { get; set; }

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
                $"{_ids.Count} backups were given, and one is restored at a time.",
                recommendation: "Choose one, such as by 'Select-Object -Last 1' for the newest.");
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        Repository repository = await site.OpenForReadingAsync(secrets, pipeline, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenRedisBackupAsync(repository, _ids.SingleOrDefault(), cancellationToken).ConfigureAwait(false);
        IRedisRestore restore = await site.CreateRedisRestoreAsync(
            secrets, repository, backup, Request(), pipeline, cancellationToken).ConfigureAwait(false);
        RedisRestorePlan plan = await restore.PlanAsync(pipeline, cancellationToken).ConfigureAwait(false);
        string description = string.Join(Environment.NewLine, plan.Describe());
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this out?", $"Restore Redis at {plan.Target}").ConfigureAwait(false))
        {
            RedisRestoreResult result = await restore.RunAsync(pipeline, cancellationToken).ConfigureAwait(false);
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
            await repository.NoteAsync(site.Name, result, pipeline, cancellationToken).ConfigureAwait(false);
        }
    }

    private RedisRestoreRequest Request()
    {
        PSCredential? credential = Credential == PSCredential.Empty ? null : Credential;
        string? password = credential?.GetNetworkCredential().Password;
        RedisRestoreOptions options = new() { Databases = Database, KeyPatterns = KeyPattern, Empty = Empty };
        return new RedisRestoreRequest
        {
            Method = Method,
            Endpoint = Endpoint,
            Username = credential?.UserName,
            Password = password is null ? null : _ => ValueTask.FromResult<string?>(password),
            Tls = MyInvocation.BoundParameters.ContainsKey(nameof(Tls)) ? Tls.IsPresent : null,
            Options = Parallelism is { } connections ? options with { Parallelism = connections } : options,
        };
    }
}
