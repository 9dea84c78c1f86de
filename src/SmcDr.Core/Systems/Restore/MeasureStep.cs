using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Says how long it took until each part was back, and what is lost, beside what the site allows.</summary>
internal sealed class MeasureStep(SitePlanContext context, SystemRestoreIntent intent) : SystemRestoreStep(context, intent)
{
    public override string Key => "measure";

    public override string Title => "Measure";

    public override string Target => Site.Name;

    public override IReadOnlyList<string> After => [SystemRestore.VerifyKey];

    public override string Describe() => "Compare the time to recover and what is lost with the site's objectives.";

    public override Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        List<string> parts = [];
        foreach ((Component component, string? subject, double loss, bool isBound) in SystemLoss.Find(Intent))
        {
            PartRecord? part = context.GetOutput(KeyOf(component, subject), SystemRestoreJson.Default.PartRecord);
            ObjectiveSettings? objective = ObjectiveOf(component);
            string name = SystemLoss.Name(component, subject);
            // From the decision on, pauses between runs among it: nobody could use it meanwhile.
            double? took = part?.EndTime is { } end ? (end - Intent.DecidedTime).TotalSeconds : null;
            parts.Add($"{name} back after {DisplayText.Seconds(took)}{Beside(objective?.Rto, took)}, " +
                $"{SystemLoss.Describe(loss, isBound)} lost{Beside(objective?.Rpo, loss)}");
            if (took > objective?.Rto?.TotalSeconds || loss > objective?.Rpo?.TotalSeconds)
            {
                context.Observer.Warning($"{name} misses an objective of the site: {parts[^1]}.");
            }
        }

        return Task.FromResult(
            $"The system is back {DisplayText.Duration(DateTimeOffset.UtcNow - Intent.DecidedTime)} after the decision. {string.Join("; ", parts)}.");
    }

    private static string Beside(TimeSpan? objective, double? measured) => objective is { } allowed
        ? $" (objective {DisplayText.Duration(allowed)}, {(measured <= allowed.TotalSeconds ? "met" : "missed")})"
        : "";

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
