using SmcDr.Core.Plans;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Says how long it took until each part was back, and what is lost, beside what the site allows.</summary>
internal sealed class MeasureStep(SitePlanContext context, SystemRestoreIntent intent) : SystemRestoreStep(context, intent)
{
    public override string Key => SystemRestore.MeasureKey;

    public override string Title => "Measure";

    public override string Target => Site.Name;

    public override IReadOnlyList<string> After => [SystemRestore.VerifyKey];

    public override string Describe() => "Compare the time to recover and what is lost with the site's objectives.";

    public override Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        List<ComponentRecovery> parts = [];
        foreach ((Component component, string? subject, double loss, bool isBound) in SystemLoss.Find(Intent))
        {
            PartRecord? part = context.GetOutput(KeyOf(component, subject), SystemRestoreJson.Default.PartRecord);
            ObjectiveSettings? objective = ObjectiveOf(component);
            ComponentRecovery recovery = new()
            {
                Component = component.ToString(),
                Subject = subject,
                BackupId = BackupOf(component, subject),
                // From the decision on, pauses between runs among it: nobody could use it meanwhile.
                RecoverySeconds = part?.EndTime is { } end ? (end - Intent.DecidedTime).TotalSeconds : null,
                Rto = objective?.Rto,
                LossSeconds = loss,
                LossIsBound = isBound,
                Rpo = objective?.Rpo,
                RecoveredTime = part?.RecoveredTime,
            };
            parts.Add(recovery);
            if (recovery.Verdict == "Missed")
            {
                context.Observer.Warning($"{SystemLoss.Name(component, subject)} misses an objective of the site: {recovery}.");
            }
        }

        TimeSpan duration = DateTimeOffset.UtcNow - Intent.DecidedTime;
        context.Recovery = new SystemRestoreResult
        {
            Site = Site.Name,
            PlanId = context.PlanId,
            Verdict = parts.Exists(static part => part.Verdict == "Missed") ? "Missed" : parts.Exists(static part => part.Verdict is not null) ? "Met" : null,
            TargetTime = Intent.TargetTime,
            StartTime = Intent.DecidedTime,
            Duration = duration,
            Components = parts,
        };
        return Task.FromResult(
            $"The system is back {DisplayText.Duration(duration)} after the decision.{(parts.Count == 0 ? "" : $" {string.Join("; ", parts)}.")}");
    }

    private string BackupOf(Component component, string? subject) => component switch
    {
        Component.Database => Intent.Database!.BackupId,
        Component.Redis => Intent.Redis!.Backup.Id,
        Component.Configuration => Intent.Configuration!.Id,
        _ => Intent.FileStores.First(store => store.Subject == subject).Id,
    };

    private static string KeyOf(Component component, string? subject) => component switch
    {
        Component.Database => SystemRestore.DatabaseKey,
        Component.Redis => SystemRestore.RedisKey,
        Component.Configuration => SystemRestore.ConfigurationKey,
        _ => SystemRestore.FileStoreKey(subject!),
    };

    private ObjectiveSettings? ObjectiveOf(Component component) => component switch
    {
        Component.Database => Site.Objectives.Database,
        Component.Redis => Site.Objectives.Redis,
        Component.Configuration => Site.Objectives.Configuration,
        _ => Site.Objectives.FileStore,
    };
}
