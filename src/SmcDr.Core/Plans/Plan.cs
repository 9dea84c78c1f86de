using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Plans;

/// <summary>What is to be done with a site: a graph of steps.</summary>
/// <remarks>
/// Whoever resumes a plan builds it again, elsewhere and later, from <see cref="Intent"/> alone. So all that was decided when it was made stands there:
/// the backups by their ids, the target as an instant, the regions by name.
/// </remarks>
public sealed partial class Plan
{
    /// <summary>Makes a plan.</summary>
    /// <param name="site">The site's name.</param>
    /// <param name="operation">What is done, as a command says it, such as <c>Restore-SmcSystem</c>.</param>
    /// <param name="title">The same for people, with what it is done to.</param>
    /// <param name="intent">From what the same steps can be built again; null where nothing was decided. Never a secret.</param>
    /// <param name="steps">The steps.</param>
    /// <exception cref="ArgumentException">The steps are no graph in which each can be reached.</exception>
    public Plan(string site, string operation, string title, JsonElement? intent, IReadOnlyList<PlanStep> steps)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(site);
        ArgumentException.ThrowIfNullOrWhiteSpace(operation);
        ArgumentException.ThrowIfNullOrWhiteSpace(title);
        ArgumentNullException.ThrowIfNull(steps);
        (Site, Operation, Title, Intent, Steps) = (site, operation, title, intent, Order(steps));
    }

    /// <summary>The site's name.</summary>
    public string Site { get; }

    /// <summary>What is done, as a command says it.</summary>
    public string Operation { get; }

    /// <summary>The same for people, with what it is done to.</summary>
    public string Title { get; }

    /// <summary>From what the same steps can be built again.</summary>
    public JsonElement? Intent { get; }

    /// <summary>The steps, each behind those that it comes after, otherwise as they were given.</summary>
    public IReadOnlyList<PlanStep> Steps { get; }

    /// <summary>An intent of a type of the caller's.</summary>
    public static JsonElement ToIntent<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToElement(value, type);

    /// <summary>What stays when the plan is taken back: steps that cannot be, and those that one of these builds on.</summary>
    /// <param name="hasActed">Whether the step with a key has done something.</param>
    /// <returns>Their keys, each with those of the steps that stay and build on it.</returns>
    internal IReadOnlyDictionary<string, string[]> FindKept(Func<string, bool> hasActed)
    {
        Dictionary<string, string[]> kept = new(StringComparer.Ordinal);
        foreach (PlanStep step in Steps.Reverse().Where(step => hasActed(step.Key)))
        {
            string[] above = [.. Steps.Where(other => other.After.Contains(step.Key) && kept.ContainsKey(other.Key)).Select(static other => other.Key)];
            if (above.Length > 0 || !step.CanUndo)
            {
                kept.Add(step.Key, above);
            }
        }

        return kept;
    }

    private static List<PlanStep> Order(IReadOnlyList<PlanStep> steps)
    {
        HashSet<string> keys = new(StringComparer.Ordinal);
        foreach (PlanStep step in steps)
        {
            if (!KeyPattern().IsMatch(step.Key) || !keys.Add(step.Key))
            {
                throw new ArgumentException($"'{step.Key}' is not the key of a step, or that of two.", nameof(steps));
            }
        }

        List<PlanStep> ordered = [];
        HashSet<string> placed = new(StringComparer.Ordinal);
        while (ordered.Count < steps.Count)
        {
            PlanStep next = steps.FirstOrDefault(step => !placed.Contains(step.Key) && step.After.All(placed.Contains))
                ?? throw new ArgumentException("Some steps come after each other, or after one that there is not.", nameof(steps));
            ordered.Add(next);
            placed.Add(next.Key);
        }

        return ordered;
    }

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex KeyPattern();
}
