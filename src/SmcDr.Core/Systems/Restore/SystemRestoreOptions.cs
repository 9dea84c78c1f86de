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

    /// <summary>
    /// Whether a server of this host that runs is no obstacle yet, because something is done before it has to be stopped: the step that restores it refuses
    /// then.
    /// </summary>
    internal bool ServerMayRun { get; init; }
}
