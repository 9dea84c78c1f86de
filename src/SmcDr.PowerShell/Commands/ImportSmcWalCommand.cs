using System.Management.Automation;
using SmcDr.Core.Postgres.Wal.Importing;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Imports the write-ahead log that an archive_command has put into a directory.</summary>
/// <remarks>
/// <para>
/// Segments, plain or compressed as .gz or .zst, history files and partial segments are checked as the stream checks them, page by page and
/// record by record, and stored where they are not in the repository yet. So the same command continues an interrupted import, and brings
/// what has come since. The directory is only read.
/// </para>
/// <para>
/// A file that is damaged, cut off, of another cluster, or different from what the repository has under its name is refused: it is warned of
/// and listed in Refused, the result has the state Partial, and all other files are taken. Backup labels are left, and so are files of
/// unknown kinds, which Unknown lists. The layouts of other backup tools are not read.
/// </para>
/// </remarks>
/// <example>
/// <code>Import-SmcWal /mnt/archive/wal -WhatIf</code>
/// Shows how much there is, and stores nothing.
/// </example>
/// <example>
/// <code>(Import-SmcWal /mnt/archive -Recurse).Refused</code>
/// Imports what is in the directory and in those below it, and shows what was not taken and why.
/// </example>
/// <example>
/// <code>Get-ChildItem /mnt/archive -Directory | Import-SmcWal | Format-Table Path, State, ImportedCount, PresentCount, RefusedCount</code>
/// Imports several directories, and shows what became of each.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: The region does not lead the site any more: its log is refused.</exception>
/// <seealso cref="StartSmcWalStreamCommand"/>
/// <seealso cref="GetSmcWalArchiveCommand"/>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
[Cmdlet(VerbsData.Import, "SmcWal", SupportsShouldProcess = true)]
[OutputType(typeof(WalImportResult))]
public sealed class ImportSmcWalCommand : SiteCmdlet
{
    /// <summary>The directory.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("FullName")]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = "";

    /// <summary>Takes what is in directories below it as well.</summary>
    [Parameter]
    public SwitchParameter Recurse { get; set; }

    /// <summary>
    /// PostgreSQL's system identifier of the database cluster, as pg_controldata shows it. Without it, the cluster that the repository knows;
    /// where it knows none, that of the first segment.
    /// </summary>
    [Parameter]
    public ulong? SystemId { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        string path = await FilePaths.ResolveAsync(pipeline, Path).ConfigureAwait(false);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        WalImportPlan plan = await WalImportPlan.CreateAsync(
            new WalImportOptions { Path = path, Recurse = Recurse, SystemId = SystemId, Fencing = site.GetFencingScope() }, cancellationToken).ConfigureAwait(false);
        if (!await pipeline.ShouldProcessAsync(plan.Describe(), $"Import to {site.Repository.Location}").ConfigureAwait(false))
        {
            return;
        }

        Repository repository = await site.OpenOrCreateRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(
            await WalImport.RunAsync(repository, plan, pipeline, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
    }
}
