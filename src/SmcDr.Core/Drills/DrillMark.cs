namespace SmcDr.Core.Drills;

/// <summary>An instant that matters, such as a disaster.</summary>
/// <param name="Time">When it was, in UTC.</param>
/// <param name="Label">What happened.</param>
/// <param name="IsDisaster">Whether it is a disaster; otherwise it is a point that was recovered to.</param>
public sealed record DrillMark(DateTimeOffset Time, string Label, bool IsDisaster);
