namespace SmcDr.Core.Notifications;

/// <summary>What came of telling somebody.</summary>
/// <param name="Attempts">How often it was tried.</param>
/// <param name="IsDelivered">Whether anybody was told.</param>
/// <param name="Problem">What went wrong, also where only some were told; null where all were.</param>
/// <param name="Recommendation">What to do about it.</param>
/// <param name="Duration">How long it took.</param>
internal sealed record DeliveryOutcome(int Attempts, bool IsDelivered, string? Problem, string? Recommendation, TimeSpan Duration);
