namespace SmcDr.Core.Retention;

/// <summary>How retention works.</summary>
public sealed record RetentionOptions
{
    /// <summary>
    /// So long nothing must have been stored for a backup that has no marker before it counts as dead, and so old WAL must be before it goes.
    /// Longer than any backup is silent.
    /// </summary>
    public TimeSpan GraceTime { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How many objects are removed at a time.</summary>
    public int Parallelism { get; init; } = 16;

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
