namespace SmcDr.Core.Drills;

/// <summary>Something that took time.</summary>
/// <param name="Lane">The lane of the chart that it is drawn in.</param>
/// <param name="Label">What it was.</param>
/// <param name="StartTime">When it began, in UTC.</param>
/// <param name="EndTime">When it was over, in UTC.</param>
public sealed record DrillSpan(DrillLane Lane, string Label, DateTimeOffset StartTime, DateTimeOffset EndTime)
{
    /// <summary>Its parts, one after the other; none where it is not divided.</summary>
    public IReadOnlyList<DrillPhase> Phases { get; init; } = [];
}
