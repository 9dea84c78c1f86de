using System.Text.Json;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Sites.Plans;

/// <summary>A kind of plan: by it whoever resumes a plan builds the same steps again.</summary>
/// <param name="Operation">The command that begins it, such as <c>Restore-SmcSystem</c>: <see cref="Plan.Operation"/>.</param>
/// <param name="Build">
/// Builds the plan from what was decided, <see cref="Plan.Intent"/>, and from the site. It reads nothing: the same intent is always the same graph of steps.
/// </param>
public sealed record SitePlanKind(string Operation, Func<SitePlanContext, JsonElement, Plan> Build)
{
    /// <summary>
    /// Opens what the steps work with, where that is decided to be another than what the site reads from, such as one of its copies alone; null = it never is.
    /// </summary>
    public Func<SitePlanContext, JsonElement, CancellationToken, Task<SitePlanContext>>? OpenAsync { get; init; }

    internal async Task<Plan> BuildAsync(SitePlanContext context, JsonElement intent, CancellationToken cancellationToken) =>
        Build(OpenAsync is null ? context : await OpenAsync(context, intent, cancellationToken).ConfigureAwait(false), intent);
}
