using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Recovery;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Recovers a database cluster on this host to an instant, a position, a transaction or a restore point.</summary>
/// <remarks>
/// <para>
/// Everything is read and checked first: that PostgreSQL will stop at the target and where, the backup, the WAL, the room on the disks,
/// and that no server runs in the directory. The plan is then shown by -WhatIf, and by the question that only -Confirm:$false answers.
/// What was in the directory is moved aside and never deleted. The recovered server comes up on a new timeline: take a new base backup
/// of it.
/// </para>
/// <para>
/// Interrupted at whatever moment, the same command continues where it stopped. To it, an instant relative to now is another one each
/// time it is run: name the instant that the interrupted run showed.
/// </para>
/// </remarks>
/// <example>
/// <code>Invoke-SmcPointInTimeRecovery -TargetTime 2026-11-05T10:00:00Z -Force -WhatIf</code>
/// Shows how the cluster would be recovered to that instant, and changes nothing.
/// </example>
/// <example>
/// <code>Invoke-SmcPointInTimeRecovery -TargetName before_upgrade -DataDirectory /srv/copy -NoStart</code>
/// Recovers to a restore point, beside the present cluster, and leaves the server stopped.
/// </example>
/// <example>
/// <code>Invoke-SmcPointInTimeRecovery 2026-11-05T10:00:00Z -AsSideInstance -DataDirectory /srv/copy -Port 5433</code>
/// Starts the cluster as it was at that instant beside the present one, isolated from all of production.
/// </example>
/// <example>
/// <code>Invoke-SmcPointInTimeRecovery -TargetTime 2026-11-05T10:00:00Z -Force -Delta -Confirm:$false</code>
/// Recovers in place and without asking: what is right in the data directory is kept, and no copy of what was there stays.
/// </example>
/// <example>
/// <code>Get-SmcRecoveryWindow | Select-Object -Last 1 | ForEach-Object { Invoke-SmcPointInTimeRecovery -Latest -BackupId $_.BackupId -Force }</code>
/// Recovers to the end of the archive from the newest base backup that has a window.
/// </example>
/// <example>
/// <code>Find-SmcTransaction -From -1d -Kind Drop | Select-Object -Last 1 | Invoke-SmcPointInTimeRecovery -Force</code>
/// Recovers to right before the newest transaction that dropped something.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetTimeAmbiguous"/>: The time has neither Z nor an offset.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetOutsideWindow"/>: The target lies in no recovery window.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotReached"/>: No commit follows the target in the archive.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.TargetNotEmpty"/>: The data directory holds something, and neither -Force nor -Delta is given.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetInUse"/>: A server runs in the data directory: stop it first.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.DiskSpaceInsufficient"/>: The disk has no room for the recovered cluster beside the present one.
/// </exception>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso cref="FindSmcTransactionCommand"/>
/// <seealso cref="RestoreSmcDatabaseCommand"/>
/// <seealso cref="ExportSmcTableCommand"/>
/// <seealso cref="BackupSmcDatabaseCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(
    VerbsLifecycle.Invoke,
    "SmcPointInTimeRecovery",
    SupportsShouldProcess = true,
    ConfirmImpact = ConfirmImpact.High,
    DefaultParameterSetName = ByTime)]
[OutputType(typeof(RecoveryResult))]
public sealed class InvokeSmcPointInTimeRecoveryCommand : RecoveryCmdlet
{
    private const string ByTime = "Time";
    private const string ByLsn = "Lsn";
    private const string ByName = "Name";
    private const string ByXid = "Xid";
    private const string BeforeTransaction = "Transaction";
    private const string ToLatest = "Latest";

    private readonly List<RecoveryTarget> _targets = [];

    /// <summary>
    /// The instant, by the server's clock: with Z or an offset, such as 2026-11-05T10:00:00Z, or relative to now, such as -10m. Without a
    /// zone it is refused. What was committed up to it comes back.
    /// </summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = ByTime)]
    [SmcInstant]
    public Instant? TargetTime { get; set; }

    /// <summary>The position in the write-ahead log, such as 16/B374D848.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByLsn)]
    [ValidateNotNullOrEmpty]
    public string? TargetLsn { get; set; }

    /// <summary>The restore point, as pg_create_restore_point named it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByName)]
    [ValidateNotNullOrEmpty]
    public string? TargetName { get; set; }

    /// <summary>The transaction, by its 32-bit id.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByXid)]
    public uint TargetXid { get; set; }

    /// <summary>
    /// What Find-SmcTransaction returns. All that was committed before that transaction comes back, and the transaction itself does not; the
    /// timeline is its own.
    /// </summary>
    [Parameter(Mandatory = true, ValueFromPipeline = true, ParameterSetName = BeforeTransaction)]
    [ValidateNotNull]
    public TransactionInfo? Transaction { get; set; }

    /// <summary>Recovers to the end of the archive.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ToLatest)]
    public SwitchParameter Latest { get; set; }

    /// <summary>Stops just before the target instead of just after it.</summary>
    [Parameter(ParameterSetName = ByTime)]
    [Parameter(ParameterSetName = ByLsn)]
    [Parameter(ParameterSetName = ByXid)]
    public SwitchParameter Exclusive { get; set; }

    /// <summary>The timeline to recover on. Without it, the one that leads to the newest descendant of the base backup.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? Timeline { get; set; }

    /// <summary>The base backup to begin with. Without it, the newest from which the target can be reached.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // Before anything is read or asked: a target that is not one is no reason to look for the site.
        RecoveryTarget target = ReadTarget();
        _targets.Add(Transaction is { } transaction
            ? target with { Inclusive = false, Timeline = (uint?)Timeline ?? (uint)transaction.Timeline }
            : target with { Inclusive = !Exclusive, Timeline = (uint?)Timeline });
        if (target.Time is { } time)
        {
            pipeline.WriteVerbose($"The target instant is {time:yyyy-MM-dd HH:mm:ss.ffffff} UTC.");
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        switch (_targets)
        {
            case []:
                pipeline.WriteWarning("No transaction came through the pipeline, so nothing is recovered.");
                return Task.CompletedTask;
            case [var target]:
                SystemId ??= Transaction is { } transaction ? ulong.Parse(transaction.SystemId, CultureInfo.InvariantCulture) : null;
                return RecoverAsync(pipeline, null, BackupId, target, cancellationToken);
            default:
                throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"{_targets.Count} transactions were given, and a cluster is recovered to right before one.",
                    recommendation: "Choose one, such as by 'Select-Object -First 1' for the earliest.");
        }
    }

    private RecoveryTarget ReadTarget() => ParameterSetName switch
    {
        ByTime => RecoveryTarget.AtTime(TargetTime!.Resolve()),
        ByLsn => RecoveryTarget.AtLsn(LsnArgument.Parse(TargetLsn!)),
        ByName => RecoveryTarget.AtName(TargetName!),
        ByXid => RecoveryTarget.AtXid(TargetXid),
        BeforeTransaction => RecoveryTarget.AtLsn(LsnArgument.Parse(Transaction!.RecoveryLsn)),
        _ => RecoveryTarget.Latest,
    };
}
