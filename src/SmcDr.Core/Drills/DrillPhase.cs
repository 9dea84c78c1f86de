namespace SmcDr.Core.Drills;

/// <summary>A part of a recovery.</summary>
/// <param name="Name">What is done in it, such as <c>Replay WAL</c>. The same name has the same colour throughout the chart.</param>
/// <param name="Duration">How long it took.</param>
public sealed record DrillPhase(string Name, TimeSpan Duration)
{
    internal const string Plan = "Stop and plan";
    internal const string RestoreFiles = "Restore files";
    internal const string CheckAndStart = "Check and start";
    internal const string Compare = "Compare";
}
