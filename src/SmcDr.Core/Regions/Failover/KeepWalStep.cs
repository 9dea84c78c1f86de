using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Makes the slot of the WAL stream on the standby, before it is promoted.</summary>
/// <remarks>
/// From the switch on every byte must reach the repository. A promoted server asks for a checkpoint at once (xlog.c, <c>StartupXLOG</c>), which removes the
/// WAL before it that no slot holds, and a slot keeps WAL from the last checkpoint's redo position on at the earliest (slot.c,
/// <c>ReplicationSlotReserveWal</c>). One that is made after the promotion comes too late where clients write a lot meanwhile: there would be a gap in the
/// archive that only a new base backup closes. A physical slot can be made on a standby as well, and then keeps WAL across the promotion.
/// </remarks>
internal sealed class KeepWalStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Have the standby keep its WAL", work.NewDatabase.Display, after)
{
    public const string StepKey = "keep-wal";

    public override bool CanUndo => true;

    private string Slot => Work.To.Database!.Slot;

    public override string Describe() => $"Makes the slot '{Slot}' for its WAL stream before the promotion, so that nothing behind that is missed.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        try
        {
            return await StandbySlot.EnsureAsync(Work.NewDatabase, Slot, cancellationToken).ConfigureAwait(false) ?? "It was there.";
        }
        catch (SmcException e) when (!Intent.Planned)
        {
            // With the primary down the WAL stream can wait: it will say what it lacks.
            context.Observer.Warning(
                $"The slot '{Slot}' could not be made on the standby: {e.Message} WAL behind the promotion may be missed; take a base backup after it.");
            return $"It could not be made: {e.Message}";
        }
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        try
        {
            // A standby keeps WAL for its slots as a primary does, and nobody streams by this one: its disk would fill.
            await StandbySlot.DropAsync(Work.NewDatabase, [Slot], cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ServerUnavailable)
        {
            // The old primary must come back all the same.
            context.Observer.Warning($"The slot '{Slot}' could not be dropped on the standby: {e.Message} Drop it there, or its disk fills with WAL.");
            return $"It could not be dropped: {e.Message}";
        }

        return $"The slot '{Slot}' was dropped.";
    }
}
