namespace SmcDr.Core.Drills;

/// <summary>One thing that was compared before a disaster and after the recovery.</summary>
/// <param name="Disaster">The disaster that it belongs to.</param>
/// <param name="Name">What was compared, such as <c>Rows in trades</c>.</param>
/// <param name="Expected">What should be there.</param>
/// <param name="Found">What is there.</param>
/// <param name="Passed">Whether that is as it should be.</param>
public sealed record DrillCheck(string Disaster, string Name, string Expected, string Found, bool Passed);
