namespace SmcDr.Core.Systems.Restore;

/// <summary>Which restore of a whole system is asked for.</summary>
public sealed record SystemRestoreOptions
{
    /// <summary>
    /// The instant to go back to: the database to it, by its WAL, and all else to the newest backup from before it. Null = as far as there is anything.
    /// </summary>
    public DateTimeOffset? TargetTime { get; init; }

    /// <summary>What is restored; empty = all that the site has.</summary>
    public IReadOnlyCollection<Component> Components { get; init; } = [];
}
