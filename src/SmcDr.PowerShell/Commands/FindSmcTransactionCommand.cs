using System.Management.Automation;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Searching;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Finds the transactions that dropped, truncated, rewrote, deleted or updated much, in the archived write-ahead log.</summary>
/// <remarks>
/// <para>
/// Each result tells when and where a transaction was committed and what it did to which tables, and in RecoveryLsn where to recover to so
/// that everything before it comes back and the transaction itself does not. That position is exclusive: give it to
/// Invoke-SmcPointInTimeRecovery with -Exclusive. What rolled back is not reported.
/// </para>
/// <para>
/// The write-ahead log knows numbers of files, not names. Names of what still exists come from the site's server, where it answers. The name
/// of a dropped table can be told only where its row of pg_class stands in the log that is read, which is so in nearly every case when it
/// was read from the last checkpoint on; else the table shows as the number of its file. How many rows a TRUNCATE or a DROP took with it, the
/// log does not tell.
/// </para>
/// <para>
/// VACUUM FULL, CLUSTER, REINDEX and ALTER TABLE write a table or index anew and lose nothing by that: they are the kind Rewrite. With
/// wal_level = replica, a TRUNCATE is known by the empty file that takes the place of the table's.
/// </para>
/// </remarks>
/// <example>
/// <code>Find-SmcTransaction -From -2h -Kind Drop, Truncate, DropDatabase</code>
/// Shows what was dropped or emptied in the last two hours.
/// </example>
/// <example>
/// <code>$lost = Find-SmcTransaction -From -1d -Relation public.trades -Kind Delete | Select-Object -Last 1
/// Invoke-SmcPointInTimeRecovery -TargetLsn $lost.RecoveryLsn -Exclusive -Force -WhatIf</code>
/// Finds the last mass deletion in a table, and shows how the cluster would be recovered to right before it.
/// </example>
/// <example>
/// <code>Find-SmcTransaction -From 2026-11-05T09:00:00Z -To 2026-11-05T10:00:00Z -MinimumRows 10000 |
///     Format-Table CommitTime, Kind, DeletedRows, UpdatedRows, RelationNames</code>
/// Shows what deleted or updated ten thousand rows or more within an hour.
/// </example>
/// <example>
/// <code>Find-SmcTransaction -From -30d -Kind DropDatabase -Offline</code>
/// Looks for dropped databases while the server is away; names then come from the log alone.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TimelineMismatch"/>: The archive has nothing of the timeline.</exception>
/// <seealso cref="InvokeSmcPointInTimeRecoveryCommand"/>
/// <seealso cref="ExportSmcTableCommand"/>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsCommon.Find, "SmcTransaction")]
[OutputType(typeof(TransactionInfo))]
public sealed class FindSmcTransactionCommand : SiteCmdlet
{
    /// <summary>
    /// Committed at this instant or later, by the server's clock: with Z or an offset, or relative to now, such as -2h. Without it, from the
    /// beginning of the archive, which may take long.
    /// </summary>
    [Parameter(Position = 0)]
    [SmcInstant]
    public Instant? From { get; set; }

    /// <summary>Committed at this instant or earlier.</summary>
    [Parameter(Position = 1)]
    [SmcInstant]
    public Instant? To { get; set; }

    /// <summary>Committed at this position of the write-ahead log or behind it.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? FromLsn { get; set; }

    /// <summary>Committed before this position of the write-ahead log.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? ToLsn { get; set; }

    /// <summary>What was done, any of these.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public TransactionKinds[] Kind { get; set; } = [TransactionKinds.All];

    /// <summary>The database, by its id or its name.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(DatabaseCompleter))]
    public string? Database { get; set; }

    /// <summary>
    /// A table, by its name, its schema and name, its id, or the number of its file. A drop or truncation of tables whose names nothing tells is
    /// shown as well when a name is given: it may be the one.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Relation { get; set; }

    /// <summary>How many rows of one table a transaction must have deleted or updated where it did nothing else.</summary>
    [Parameter]
    [ValidateRange(1, long.MaxValue)]
    public long MinimumRows { get; set; } = TransactionSearchOptions.DefaultMinimumRows;

    /// <summary>The timeline. Without it, the newest.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? Timeline { get; set; }

    /// <summary>PostgreSQL's system identifier of the database cluster, where the repository has several.</summary>
    [Parameter]
    public ulong? SystemId { get; set; }

    /// <summary>Asks no server for names.</summary>
    [Parameter]
    public SwitchParameter Offline { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        TransactionSearchOptions options = new()
        {
            From = From?.Resolve(),
            To = To?.Resolve(),
            FromLsn = FromLsn is null ? null : LsnArgument.Parse(FromLsn),
            ToLsn = ToLsn is null ? null : LsnArgument.Parse(ToLsn),
            Kinds = Kind.Aggregate(TransactionKinds.None, static (all, one) => all | one),
            Database = Database,
            Relation = Relation,
            MinimumRows = MinimumRows,
            Timeline = (uint?)Timeline,
        };
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        PostgresConnector? connector = Offline ? null : site.CreateConnector(SiteArguments.CreateSecrets(pipeline));
        Repository repository = await site.OpenForReadingAsync(
            SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        WalArchive archive = await TransactionSearch.OpenArchiveAsync(repository, SystemId, cancellationToken).ConfigureAwait(false);
        await foreach (TransactionInfo found in TransactionSearch.FindAsync(archive, options, connector, pipeline, cancellationToken)
            .ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(found).ConfigureAwait(false);
        }
    }
}
