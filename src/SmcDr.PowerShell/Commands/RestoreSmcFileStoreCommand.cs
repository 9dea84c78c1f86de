using System.Management.Automation;
using SmcDr.Core.FileStores;
using SmcDr.Core.Objectives;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Restores a directory from the backup of a file store, or parts of it.</summary>
/// <remarks>
/// <para>
/// Everything is looked at before anything is changed: the backup, what is in the directory already, the room on the disk. Files that are
/// there with the right content are kept, files that differ are replaced with -Force only, and files that the backup does not have are
/// never touched. A file gets its name when it is complete and durable, so the same command continues an interrupted restore.
/// </para>
/// <para>
/// Nothing is ever created outside the directory: no link in it is followed.
/// </para>
/// </remarks>
/// <example>
/// <code>Restore-SmcFileStore config -Destination /tmp/config -Include 'trading/**'</code>
/// Restores what the newest backup has below trading, beside the original.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component FileStore -State Complete | Select-Object -Last 1 | Restore-SmcFileStore -Force -WhatIf</code>
/// Shows what putting the newest backup back in place would replace.
/// </example>
/// <example>
/// <code>Restore-SmcFileStore config -Force -NumericOwner -Confirm:$false</code>
/// Puts the newest backup back in place on a new host, where the owners' names have other numbers.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: The file store has no backup.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DiskSpaceInsufficient"/>: The disk has no room.</exception>
/// <seealso cref="BackupSmcFileStoreCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
[Cmdlet(VerbsData.Restore, "SmcFileStore", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(FileStoreRestoreResult))]
public sealed class RestoreSmcFileStoreCommand : SiteCmdlet
{
    private readonly List<(string? Name, string? BackupId)> _wanted = [];

    /// <summary>The name of the file store. It can be left out where the repository has one only, or a backup is given.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(FileStoreCompleter))]
    public string? Name { get; set; }

    /// <summary>The backup, as Get-SmcBackup gives it. Without it, the newest of the file store.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Id")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>The directory to restore to. Without it, the one that was backed up.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Destination { get; set; }

    /// <summary>
    /// Restores only what matches: patterns of paths below the directory, in which * stands for characters of a name and ** for any number of
    /// directories. A pattern without a slash is looked for at any depth, and a directory stands for all that is below it.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Include { get; set; } = [];

    /// <summary>Replaces files that are there and differ from the backup.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Gives files to the numbers of their owners, although the owners' names have other numbers here.</summary>
    [Parameter]
    public SwitchParameter NumericOwner { get; set; }

    /// <summary>Leaves owners as they come, which is what happens in any case where the command does not run as root.</summary>
    [Parameter]
    public SwitchParameter NoOwner { get; set; }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _wanted.Add((Name, BackupId));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (_wanted.Count == 0)
        {
            pipeline.WriteWarning("No backup came through the pipeline, so nothing is restored.");
            return;
        }

        if (_wanted.Count > 1)
        {
            // Several of one directory would overwrite each other, and which was meant to win cannot be known.
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"{_wanted.Count} backups were given, and one is restored at a time.",
                recommendation: "Choose one, such as by 'Select-Object -Last 1' for the newest, or call the command for each.");
        }

        (string? name, string? id) = _wanted[0];
        string? destination = Destination is null ? null : await FilePaths.ResolveAsync(pipeline, Destination).ConfigureAwait(false);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenForReadingAsync(
            SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenFileStoreBackupAsync(repository, id, name, cancellationToken).ConfigureAwait(false);
        FileStoreRestoreOptions options = new()
        {
            TargetPath = destination,
            Include = Include,
            Force = Force,
            NumericOwners = NumericOwner,
            Owners = NoOwner ? false : null,
        };
        FileStoreRestorePlan plan = await FileStoreRestore.PlanAsync(backup, options, pipeline, cancellationToken).ConfigureAwait(false);
        string description = plan.Describe();
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this out?", $"Restore file store '{plan.Name}'").ConfigureAwait(false))
        {
            FileStoreRestoreResult result = await FileStoreRestore.RunAsync(backup, options, pipeline, cancellationToken).ConfigureAwait(false);
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
            await repository.NoteAsync(site.Name, result, pipeline, cancellationToken).ConfigureAwait(false);
        }
    }
}
