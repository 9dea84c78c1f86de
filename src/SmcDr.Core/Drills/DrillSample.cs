namespace SmcDr.Core.Drills;

/// <summary>One measured value.</summary>
/// <param name="Time">When it was measured, in UTC.</param>
/// <param name="Value">The value.</param>
public readonly record struct DrillSample(DateTimeOffset Time, double Value);
