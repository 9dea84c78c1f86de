using System.Text.Json;
using SmcDr.Core.Plans;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Runbooks.Steps;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks;

/// <summary>
/// A runbook as a plan: that of a restore of the system or of a failover, with what a scenario needs before and behind it. So it is resumed, shown and taken
/// back like any other, and learns from all plans in which the same steps were done.
/// </summary>
public static class RunbookPlan
{
    /// <summary>The command that begins it.</summary>
    public const string Operation = "Invoke-SmcRunbook";

    /// <summary>The plan's kind.</summary>
    public static SitePlanKind Kind { get; } = new(Operation, Build) { OpenAsync = OpenAsync };

    internal static RunbookIntent Read(JsonElement intent) => intent.Deserialize(RunbookJson.Default.RunbookIntent)!;

    /// <summary>The kind of the plan that a runbook is about.</summary>
    internal static SitePlanKind KindOf(string operation) => operation == RegionFailover.Operation ? RegionFailover.Kind : SystemRestore.Kind;

    private static async Task<SitePlanContext> OpenAsync(SitePlanContext context, JsonElement json, CancellationToken cancellationToken) =>
        Read(json).Source is { } source
            ? context with
            {
                Repository = await context.Site.At(source).OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false),
                Notes = context.Notes,
            }
            : context;

    private static Plan Build(SitePlanContext context, JsonElement json)
    {
        RunbookIntent intent = Read(json);
        Plan inner = KindOf(intent.Kind).Build(context, intent.Plan);
        List<PlanStep> steps = [];
        if (intent.Kind == SystemRestore.Kind.Operation)
        {
            // What comes before the restores comes behind what stops the writers: nothing that they still write is to be lost.
            string gate = inner.Steps.Any(static step => step.Key == SystemRestore.SuspendKey) ? SystemRestore.SuspendKey : SystemRestore.AssessKey;
            SystemRestoreIntent restore = SystemRestore.Read(intent.Plan);
            List<PlanStep> before = [];
            string[] Behind() => [before.Count > 0 ? before[^1].Key : gate];
            if (intent.SavesPresent)
            {
                before.Add(new EmergencyBackupStep(context, Behind()));
            }

            if (intent.ProvesBackups)
            {
                before.Add(new HoldBackupsStep(context, intent, restore, Behind()));
                before.Add(new VerifyBackupsStep(context, restore, Behind()));
                if (restore.Database is not null)
                {
                    before.Add(new TestRecoveryStep(context, restore, Behind()));
                }
            }

            foreach (PlanStep step in inner.Steps)
            {
                bool waits = before.Count > 0 && step.Key.StartsWith(SystemRestore.RestorePrefix, StringComparison.Ordinal);
                steps.Add(waits ? new PlacedStep(step, [.. step.After, before[^1].Key]) : step);
            }

            steps.AddRange(before);
            if (intent.BacksUpAfter)
            {
                steps.Add(new FullBackupStep(context, [SystemRestore.MeasureKey]));
            }
        }
        else
        {
            steps.AddRange(inner.Steps);
        }

        return new Plan(context.Site.Name, Operation, $"{SiteRunbooks.TitleOf(intent.Scenario)}: {Lower(inner.Title)}", json, steps);
    }

    private static string Lower(string title) => char.ToLowerInvariant(title[0]) + title[1..];
}
