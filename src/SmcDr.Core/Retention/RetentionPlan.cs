using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>What a retention run is going to do.</summary>
public sealed class RetentionPlan
{
    internal RetentionPlan(
        RetentionPolicy? policy,
        DateTimeOffset time,
        IReadOnlyList<ComponentPlan> components,
        IReadOnlyList<RetentionResult> items,
        IReadOnlySet<string> walKeys)
    {
        Policy = policy;
        Time = time;
        Components = components;
        Items = items;
        WalKeys = walKeys;
    }

    /// <summary>The policy; null where nothing but sweeping was asked for.</summary>
    public RetentionPolicy? Policy { get; }

    /// <summary>The moment for which it was made.</summary>
    public DateTimeOffset Time { get; }

    /// <summary>Everything that was looked at, with what becomes of it and why.</summary>
    public IReadOnlyList<RetentionResult> Items { get; }

    /// <summary>What goes.</summary>
    public IEnumerable<RetentionResult> Removals => Items.Where(static item => item.Action == "Remove");

    internal IReadOnlyList<ComponentPlan> Components { get; }

    internal IReadOnlySet<string> WalKeys { get; }

    /// <summary>The part of one component.</summary>
    /// <param name="Component">The component.</param>
    /// <param name="Backups">The backups that go; null for one whose marker cannot be believed.</param>
    /// <param name="Dead">The incomplete ones that go.</param>
    /// <param name="Remnants">The remnants that go.</param>
    internal sealed record ComponentPlan(
        Component Component,
        IReadOnlyDictionary<string, BackupHeader?> Backups,
        IReadOnlySet<string> Dead,
        IReadOnlySet<string> Remnants);
}
