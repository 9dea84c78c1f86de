namespace SmcDr.Core.Sites;

/// <summary>How fast a component must be back, and how much of it may be lost.</summary>
public sealed record ObjectiveSettings
{
    [SiteKey("The longest time until the component works again (recovery time objective).")]
    public TimeSpan? Rto { get; init; }

    [SiteKey("The longest time whose changes may be lost (recovery point objective).")]
    public TimeSpan? Rpo { get; init; }
}
