using System.Management.Automation;
using SmcDr.Core.Copies;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Copies backups and write-ahead log to another repository.</summary>
/// <remarks>
/// <para>
/// The destination becomes a repository of the same id, from which everything can be restored as from the first. Only what it lacks is
/// copied, each object is checked on its way, and afterwards the destination's own listing is. Interrupted at whatever moment, the same
/// command goes on. What the site's repository no longer has, the destination keeps.
/// </para>
/// <para>
/// What is damaged is not copied: a warning names it, State is Partial, and the rest is copied. The WAL that a backup needs goes with it.
/// Beside a running backup or WAL stream it copies what is complete.
/// </para>
/// </remarks>
/// <example>
/// <code>Copy-SmcBackup</code>
/// Brings each of the copies that the site lists up to date.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Select-Object -Last 1 | Copy-SmcBackup -Destination /mnt/vault/orders -Wal Windows</code>
/// Copies the newest backup, and the WAL from its start on, to a disk that can be carried away.
/// </example>
/// <example>
/// <code>Copy-SmcBackup -WhatIf</code>
/// Says what would be copied to which places, and copies nothing.
/// </example>
/// <example>
/// <code>Copy-SmcBackup -Destination 's3://orders-vault/weekly?region=us-west-2' -Parallelism 8 |
///     Format-List State, CopiedBytes, PresentBytes, Problems</code>
/// Copies all to another region's bucket, eight objects at a time, and shows what was not there yet.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryMismatch"/>: The destination holds another repository.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.CopyIncomplete"/>: Something could not be copied. The same command makes up for it.</exception>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="ProtectSmcBackupCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsCommon.Copy, "SmcBackup", SupportsShouldProcess = true)]
[OutputType(typeof(BackupCopyResult))]
public sealed class CopySmcBackupCommand : SiteCmdlet
{
    private readonly HashSet<(Component? Component, string Id)> _backups = [];
    private bool _asked;

    /// <summary>The backups to copy, as Get-SmcBackup gives them. Without it, all.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("BackupId")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string[]? Id { get; set; }

    /// <summary>The component of the backups. Without it, that which has one of this id.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public Component? Component { get; set; }

    /// <summary>Where to copy to: a directory, or a location such as s3://bucket/prefix?region=eu-central-1. Without it, each of the site's copies.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    public string? Destination { get; set; }

    /// <summary>How much WAL is copied beside what the backups need: All, Windows for what follows the oldest of the backups, or None.</summary>
    [Parameter]
    public CopyWal Wal { get; set; } = CopyWal.All;

    /// <summary>How many objects are copied at a time. Without it, four.</summary>
    [Parameter]
    [ValidateRange(1, 64)]
    public int? Parallelism { get; set; }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _asked = true;
        foreach (string id in Id ?? [])
        {
            _backups.Add((Component, id));
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // A pipeline that brought nothing asks for nothing: all backups were not meant.
        if (!_asked)
        {
            pipeline.WriteWarning("No backup came through the pipeline, so nothing is copied.");
            return;
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        string? destination = Destination is null || Destination.Contains("://", StringComparison.Ordinal)
            ? Destination
            : await FilePaths.ResolveAsync(pipeline, Destination).ConfigureAwait(false);
        string[] destinations = site.CopyDestinations(destination);
        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        List<BackupEntry> entries = await FindAsync(pipeline, repository, cancellationToken).ConfigureAwait(false);
        if (_backups.Count > 0 && entries.Count == 0)
        {
            return;
        }

        string what = entries.Count == 0 ? "all backups" : string.Join(", ", entries.Select(static backup => backup.Id));
        foreach (string location in destinations)
        {
            if (await pipeline.ShouldProcessAsync(location, $"Copy {what} from {site.Repository.Location}").ConfigureAwait(false))
            {
                await DoOneOfAsync(
                    pipeline,
                    destinations.Length,
                    location,
                    () => CopyAsync(pipeline, site, repository, entries, location, cancellationToken),
                    cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The backups that were named, before anybody is asked; those that are not there are errors of their own.</summary>
    private async Task<List<BackupEntry>> FindAsync(SmcPipeline pipeline, Repository repository, CancellationToken cancellationToken)
    {
        List<BackupEntry> entries = [];
        foreach ((Component? component, string id) in _backups)
        {
            try
            {
                entries.Add(await RepositoryCopy.FindAsync(repository, component, id, cancellationToken).ConfigureAwait(false));
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.BackupNotFound or SmcErrorCode.BackupIncomplete)
            {
                await pipeline.WriteErrorAsync(e).ConfigureAwait(false);
            }
        }

        return entries;
    }

    private async Task CopyAsync(
        SmcPipeline pipeline,
        Site site,
        Repository repository,
        List<BackupEntry> entries,
        string location,
        CancellationToken cancellationToken)
    {
        RepositoryCopy copy = await site.OpenCopyAsync(SiteArguments.CreateSecrets(pipeline), repository, location, pipeline, Parallelism, cancellationToken).ConfigureAwait(false);
        await foreach (BackupCopyResult result in copy
            .CopyAsync(entries.Count == 0 ? null : entries, Wal, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }
    }
}
