namespace SmcDr.Core.Retention;

/// <summary>What keeps a backup from being removed.</summary>
/// <param name="Holds">Why people hold it; empty where nobody does.</param>
/// <param name="LockedUntil">The end of its longest lock, also of one that is over.</param>
/// <param name="Keys">The objects that say so.</param>
public sealed record ProtectionState(IReadOnlyList<string> Holds, DateTimeOffset? LockedUntil, IReadOnlyList<string> Keys)
{
    /// <summary>A backup that nothing protects.</summary>
    public static ProtectionState None { get; } = new([], null, []);

    /// <summary>Those of the objects that cannot be believed; each counts as a hold.</summary>
    public IReadOnlyList<string> Unreadable { get; init; } = [];

    /// <summary>All holds in one text; null where there are none.</summary>
    public string? Hold => Holds.Count == 0 ? null : string.Join("; ", Holds);

    /// <summary>Whether it protects now.</summary>
    public bool IsActive(DateTimeOffset now) => Holds.Count > 0 || LockedUntil > now;
}
