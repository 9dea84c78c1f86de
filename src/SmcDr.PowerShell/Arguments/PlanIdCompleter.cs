using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the ids of the site's newest plans, unfinished ones first.</summary>
public sealed class PlanIdCompleter : ListingCompleter
{
    private const int Newest = 20;

    /// <inheritdoc/>
    private protected override async Task<IReadOnlyList<(string Value, string ToolTip)>> ListAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<PlanInfo> plans = await PlanJournals.ListAsync(repository, site.Name, Newest, cancellationToken).ConfigureAwait(false);
        return [.. plans.OrderBy(static plan => plan.EndTime is not null).Select(static plan => (plan.PlanId, Describe(plan)))];
    }

    private static string Describe(PlanInfo plan) =>
        $"{plan.State}, {plan.DoneCount} of {plan.StepCount} steps, {plan.Title}{(plan.StartTime is { } start ? $", {Age(start)}" : "")}";
}
