namespace SmcDr.Core.Reports;

/// <summary>A row of what took time.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">The class of the style sheet that gives spans without phases their colour.</param>
/// <param name="Spans">What took time, in any order.</param>
internal sealed record TimelineLane(string Name, string Kind, IReadOnlyList<TimelineSpan> Spans);
