using System.Text.Json;

namespace SmcDr.Core.Sites.Plans;

/// <summary>What a command that carries out a plan asks for.</summary>
public sealed record SitePlanRequest
{
    /// <summary>Which plan.</summary>
    public required SitePlanKind Kind { get; init; }

    /// <summary>
    /// Looks at all that the plan depends on, and gives what is decided by it; throws where the plan could not be carried out. Changes nothing.
    /// </summary>
    public required Func<SitePlanContext, CancellationToken, Task<JsonElement>> DecideAsync { get; init; }

    /// <summary>Whether an unfinished plan, by what was decided then, is what is asked for now: it is gone on with in that case.</summary>
    public required Func<JsonElement, bool> IsSame { get; init; }
}
