using System.Management.Automation;
using SmcDr.Core.Exports;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Exports tables as they were at an instant, through a copy of the cluster that is thrown away.</summary>
/// <remarks>
/// <para>
/// The cluster is recovered to a directory of its own on this host, isolated from production, and removed when the tables are written, or
/// when something fails or is stopped. That needs PostgreSQL's programs of the same major version, and room for the whole cluster.
/// </para>
/// <para>
/// Each file gets its name when it is whole. The rows come in the server's own format; with -Format Dump, the table's definition comes with
/// them, for pg_restore.
/// </para>
/// </remarks>
/// <example>
/// <code>Export-SmcTable public.trades -Database smc_trading -At 2026-11-05T10:00:00Z -OutFile trades.csv</code>
/// Writes the rows that a table had at that instant.
/// </example>
/// <example>
/// <code>$lost = Find-SmcTransaction -From -1d -Relation public.trades -Kind Delete | Select-Object -Last 1
/// Export-SmcTable public.trades -Database smc_trading -Lsn $lost.RecoveryLsn -Exclusive -OutDirectory /srv/rescue -Format Dump</code>
/// Brings a table back as it was right before a mass deletion, for pg_restore.
/// </example>
/// <example>
/// <code>Export-SmcTable trades, users -Database smc_trading -At -2h -OutDirectory ./rescue -WhatIf</code>
/// Says what recovering to two hours ago would take, and which files it would write.
/// </example>
/// <example>
/// <code>Export-SmcTable public.trades -Database smc_trading -BackupId 20261122T081500Z-full -OutFile trades.bin -Format Binary -WorkDirectory /mnt/scratch</code>
/// Writes a table as it was at the end of a base backup, by way of a disk that has room for the whole cluster.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetOutsideWindow"/>: The instant lies in no recovery window.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.DiskSpaceInsufficient"/>: There is no room for the whole cluster in -WorkDirectory.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>: A file exists, and -Force is not given.</exception>
/// <seealso cref="FindSmcTransactionCommand"/>
/// <seealso cref="RestoreSmcDatabaseCommand"/>
/// <seealso cref="InvokeSmcPointInTimeRecoveryCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsData.Export, "SmcTable", SupportsShouldProcess = true, DefaultParameterSetName = ByTime)]
[OutputType(typeof(TableExportResult))]
public sealed class ExportSmcTableCommand : SiteCmdlet
{
    private const string ByTime = "Time";
    private const string ByLsn = "Lsn";

    /// <summary>The tables and materialized views, as schema.name, without quotes; or as name where only one is called so.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string[] Table { get; set; } = [];

    /// <summary>The database.</summary>
    [Parameter(Mandatory = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DatabaseCompleter))]
    public string Database { get; set; } = "";

    /// <summary>
    /// The instant, by the server's clock: with Z or an offset, or relative to now, such as -10m. Without it, the end of the base backup where
    /// -BackupId is given, else the end of the archive.
    /// </summary>
    [Parameter(ParameterSetName = ByTime)]
    [SmcInstant]
    public Instant? At { get; set; }

    /// <summary>The position in the write-ahead log, such as 16/B374D848.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByLsn)]
    [ValidateNotNullOrEmpty]
    public string? Lsn { get; set; }

    /// <summary>Stops just before the target instead of just after it.</summary>
    [Parameter]
    public SwitchParameter Exclusive { get; set; }

    /// <summary>The base backup to begin with. Without it, the newest from which the target can be reached.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>The file, of one table.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? OutFile { get; set; }

    /// <summary>The directory of the files, which are named by schema, table and format.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? OutDirectory { get; set; }

    /// <summary>How the rows are written: COPY's Csv with column names, its Text or Binary, or a Dump for pg_restore.</summary>
    [Parameter]
    public TableExportFormat Format { get; set; }

    /// <summary>Where the cluster is recovered to for the while. Without it, /var/tmp.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? WorkDirectory { get; set; }

    /// <summary>Replaces files that exist.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        TableExportOptions options = new()
        {
            Database = Database,
            Tables = Table,
            OutFile = await ResolveAsync(pipeline, OutFile).ConfigureAwait(false),
            OutDirectory = await ResolveAsync(pipeline, OutDirectory).ConfigureAwait(false),
            Format = Format,
            Force = Force,
        };
        options.Validate();
        RecoveryTarget target = At is not null ? RecoveryTarget.AtTime(At.Resolve())
            : Lsn is not null ? RecoveryTarget.AtLsn(LsnArgument.Parse(Lsn))
            : BackupId is not null ? RecoveryTarget.Immediate
            : RecoveryTarget.Latest;
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site
            .OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        if (BackupId is not null)
        {
            _ = await repository.OpenBackupAsync(Component.Database, BackupId, cancellationToken).ConfigureAwait(false);
        }

        SideInstanceOptions side = new()
        {
            Repository = repository,
            BackupId = BackupId,
            Target = target with { Inclusive = !Exclusive },
            WorkDirectory = await ResolveAsync(pipeline, WorkDirectory).ConfigureAwait(false) ?? SideInstance.DefaultWorkDirectory,
            BinDirectory = site.GetDatabase().BinDirectory,
            OsUser = site.GetDatabase().OsUser,
        };
        string description = $"Recover the cluster to {side.Target} in '{side.WorkDirectory}' for the while, and export {string.Join(", ", Table)} " +
            $"of '{Database}' to '{options.OutFile ?? options.OutDirectory}'.";
        if (!await pipeline.ShouldProcessAsync(description, description, "Export tables").ConfigureAwait(false))
        {
            return;
        }

        await foreach (TableExportResult result in TableExport.RunAsync(side, options, pipeline, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }
    }

    private static async Task<string?> ResolveAsync(SmcPipeline pipeline, string? path) =>
        path is null ? null : await FilePaths.ResolveAsync(pipeline, path).ConfigureAwait(false);
}
