using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the backups in the site's repository, oldest first.</summary>
/// <remarks>
/// <para>
/// Backups that are incomplete, damaged, or of a newer version of SmcDr are listed as well and say so in State: only complete ones can be restored.
/// </para>
/// <para>
/// Where the repository does not answer, the first of the site's copies that does is listed instead, with a warning.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcBackup -State Complete | Select-Object -Last 1</code>
/// Shows the newest backup that can be restored.
/// </example>
/// <example>
/// <code>Get-SmcBackup 202611* | Measure-Object -Property StoredBytes -Sum</code>
/// Counts what the backups of November 2026 take in the repository.
/// </example>
/// <example>
/// <code>Get-SmcBackup -IncludeCopies | Group-Object -Property Repository -NoElement</code>
/// Counts what lies in the repository and in each copy.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component Database -State Incomplete, Damaged</code>
/// Shows backups of the database that cannot be restored: those that run now, and those that were interrupted.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/>: Nothing was backed up yet, or the location is wrong.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: An id without wildcards was given that no backup has.</exception>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso cref="RestoreSmcDatabaseCommand"/>
/// <seealso cref="CopySmcBackupCommand"/>
/// <seealso cref="RemoveSmcBackupCommand"/>
[Cmdlet(VerbsCommon.Get, "SmcBackup")]
[OutputType(typeof(BackupInfo))]
public sealed class GetSmcBackupCommand : SiteCmdlet
{
    /// <summary>Only backups of these ids; wildcards are allowed. An id without wildcards that no backup has is an error.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("BackupId")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string[]? Id { get; set; }

    /// <summary>Only backups of these components.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public Component[]? Component { get; set; }

    /// <summary>Only backups in one of these states.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public BackupState[]? State { get; set; }

    /// <summary>Also gets what is in the site's copies; Repository tells where each lies.</summary>
    [Parameter]
    public SwitchParameter IncludeCopies { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Component[] components = Component ?? Enum.GetValues<Component>();
        string[] ids = Id ?? ["*"];
        HashSet<string> missing = [.. ids.Where(static id => !WildcardPattern.ContainsWildcardCharacters(id))];
        string[] exact = [.. missing];
        WildcardPattern[] patterns =
        [
            .. ids.Where(WildcardPattern.ContainsWildcardCharacters)
                .Select(static id => WildcardPattern.Get(id, WildcardOptions.IgnoreCase)),
        ];
        string locations = "";
        await foreach (Repository repository in site.OpenAllAsync(SiteArguments.CreateSecrets(pipeline), IncludeCopies, pipeline, cancellationToken).ConfigureAwait(false))
        {
            locations += locations.Length == 0 ? repository.Location : $" and {repository.Location}";
            foreach (string id in exact)
            {
                if (await WriteOneAsync(pipeline, repository, components, id, cancellationToken).ConfigureAwait(false))
                {
                    missing.Remove(id);
                }
            }

            if (patterns.Length > 0)
            {
                await WriteMatchesAsync(pipeline, repository, components, patterns, cancellationToken).ConfigureAwait(false);
            }
        }

        foreach (string id in exact.Where(missing.Contains))
        {
            await pipeline.WriteErrorAsync(new SmcException(
                SmcErrorCode.BackupNotFound, $"There is no backup '{id}' in {locations}.", target: id)).ConfigureAwait(false);
        }
    }

    private async Task WriteMatchesAsync(
        SmcPipeline pipeline,
        Repository repository,
        Component[] components,
        WildcardPattern[] patterns,
        CancellationToken cancellationToken)
    {
        foreach (Component component in components)
        {
            await foreach (BackupEntry entry in repository.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
            {
                if (patterns.Any(pattern => pattern.IsMatch(entry.Id)))
                {
                    entry.Warn(pipeline);
                    await WriteAsync(pipeline, entry.ToInfo(repository.Location)).ConfigureAwait(false);
                }
            }
        }
    }

    private async Task<bool> WriteOneAsync(
        SmcPipeline pipeline, Repository repository, Component[] components, string id, CancellationToken cancellationToken)
    {
        bool found = false;
        foreach (Component component in components)
        {
            if (RepositoryKeys.IsId(id) &&
                await repository.TryFindAsync(component, id, cancellationToken).ConfigureAwait(false) is { } entry)
            {
                found = true;
                entry.Warn(pipeline);
                await WriteAsync(pipeline, entry.ToInfo(repository.Location)).ConfigureAwait(false);
            }
        }

        return found;
    }

    private async Task WriteAsync(SmcPipeline pipeline, BackupInfo backup)
    {
        if (State is null || State.Any(state => backup.State == state.ToString()))
        {
            await pipeline.WriteObjectAsync(backup).ConfigureAwait(false);
        }
    }
}
