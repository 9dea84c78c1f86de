namespace SmcDr.Core.Reports;

/// <summary>An instant that matters.</summary>
/// <param name="Time">When it was, in UTC.</param>
/// <param name="Label">What happened.</param>
/// <param name="IsDisaster">Whether it is drawn as a disaster: solid and in red.</param>
internal sealed record TimelineMark(DateTimeOffset Time, string Label, bool IsDisaster);
