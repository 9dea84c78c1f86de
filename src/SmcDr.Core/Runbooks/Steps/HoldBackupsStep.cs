using SmcDr.Core.Plans;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>Holds the backups that are restored, so that no rule and no schedule removes them meanwhile.</summary>
internal sealed class HoldBackupsStep(SitePlanContext context, RunbookIntent intent, SystemRestoreIntent restore, IReadOnlyList<string> after)
    : RunbookPlanStep(context, StepKey, "Hold backups", context.Repository.Location, after)
{
    public const string StepKey = "hold-backups";

    private readonly string _reason = $"runbook {intent.Scenario}";

    public override string Describe() =>
        $"Hold {string.Join(", ", restore.Backups().Select(static backup => backup.Id))} until somebody ends that (Unprotect-SmcBackup, 'smcdr unprotect backup').";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        BackupProtections protections = new(Context.Repository);
        List<string> held = [];
        List<string> locked = [];
        foreach ((Component component, string id) in restore.Backups())
        {
            try
            {
                ProtectionState state = await protections.GetAsync(component, id, cancellationToken).ConfigureAwait(false);
                if (state.LockedUntil > DateTimeOffset.UtcNow)
                {
                    locked.Add($"{id} until {DisplayText.Time(state.LockedUntil)}");
                }

                // Who holds it is said behind the reason.
                if (!state.Holds.Any(hold => hold == _reason || hold.StartsWith($"{_reason} (", StringComparison.Ordinal)))
                {
                    await protections.HoldAsync(component, id, _reason, cancellationToken).ConfigureAwait(false);
                }

                held.Add(id);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.StorageAccessDenied or SmcErrorCode.StorageFull)
            {
                // Who restores from a locked copy often may only read it. What is locked there needs no hold.
                context.Observer.Warning($"The backup '{id}' could not be held: {e.Message}");
            }
        }

        return $"Held: {(held.Count == 0 ? "none" : string.Join(", ", held))}. Locked: {(locked.Count == 0 ? "none" : string.Join(", ", locked))}.";
    }
}
