namespace SmcDr.Core.Sites;

/// <summary>What a check found.</summary>
internal sealed record CheckFinding(string Outcome, string Message, string? Recommendation = null)
{
    public static CheckFinding Passed(string message) => new(CheckOutcomes.Passed, message);

    public static CheckFinding Warning(string message, string recommendation) => new(CheckOutcomes.Warning, message, recommendation);

    public static CheckFinding Failed(string message, string recommendation) => new(CheckOutcomes.Failed, message, recommendation);

    public static CheckFinding Skipped(string message) => new(CheckOutcomes.Skipped, message);
}
