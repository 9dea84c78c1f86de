namespace SmcDr.Core.Reports;

/// <summary>Something that took time.</summary>
/// <param name="Label">What it was.</param>
/// <param name="StartTime">When it began, in UTC.</param>
/// <param name="EndTime">When it was over, in UTC.</param>
/// <param name="Phases">Its parts, one after the other; none where it is not divided.</param>
internal sealed record TimelineSpan(string Label, DateTimeOffset StartTime, DateTimeOffset EndTime, IReadOnlyList<(string Name, TimeSpan Duration)> Phases);
