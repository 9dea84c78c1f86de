using SmcDr.Core.Plans;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Looks at the system as its users would, until it is well or has had its time.</summary>
internal sealed class VerifyStep(SitePlanContext context, SystemRestoreIntent intent, IReadOnlyList<string> after) : SystemRestoreStep(context, intent)
{
    // What was just started warms up: an endpoint answers only when what is behind it does.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(3);

    public override string Key => SystemRestore.VerifyKey;

    public override string Title => "Verify";

    public override string Target => Site.Name;

    public override IReadOnlyList<string> After => after;

    public override string Describe() => "Check workloads, database, Redis, and the queries and URLs that the site names.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            List<CheckResult> results = [];
            await foreach (CheckResult result in new SystemChecks(Site, Context.Secrets)
                .RunAsync(Intent.Asked, includeBackups: false, cancellationToken).ConfigureAwait(false))
            {
                results.Add(result);
            }

            if (SystemChecks.FindFailure(Site.Name, results) is not { } failure)
            {
                foreach (CheckResult warning in results.Where(static result => result.Outcome == CheckOutcomes.Warning))
                {
                    context.Observer.Warning($"{warning.Name} ({warning.Target}): {warning.Message}");
                }

                return $"{results.Count(static result => result.Outcome == CheckOutcomes.Passed)} of {results.Count} checks passed, none failed.";
            }

            if (TimeProvider.System.GetElapsedTime(start) > s_patience)
            {
                throw failure;
            }

            context.Observer.Verbose($"Not well yet: {failure.Message}");
            await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
        }
    }
}
