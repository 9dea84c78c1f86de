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
    private const string ToLatest = "Latest";

    private RecoveryTarget _target = RecoveryTarget.Latest;

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
    protected override Task BeginProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // Before anything is read or asked: a target that is not one is no reason to look for the site.
        _target = ReadTarget() with { Inclusive = !Exclusive, Timeline = (uint?)Timeline };
        if (_target.Time is { } time)
        {
            pipeline.WriteVerbose($"The target instant is {time:yyyy-MM-dd HH:mm:ss.ffffff} UTC.");
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        RecoverAsync(pipeline, null, BackupId, _target, cancellationToken);

    private RecoveryTarget ReadTarget() => ParameterSetName switch
    {
        ByTime => RecoveryTarget.AtTime(TargetTime!.Resolve()),
        ByLsn => RecoveryTarget.AtLsn(LsnArgument.Parse(TargetLsn!)),
        ByName => RecoveryTarget.AtName(TargetName!),
        ByXid => RecoveryTarget.AtXid(TargetXid),
        _ => RecoveryTarget.Latest,
    };
}
