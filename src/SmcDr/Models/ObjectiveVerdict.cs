namespace SmcDr;

/// <summary>What was measured, judged by what is allowed.</summary>
internal static class ObjectiveVerdict
{
    public const string Met = "Met";

    public const string Missed = "Missed";

    /// <summary><see cref="Met"/> or <see cref="Missed"/>; null without an objective. What was not measured is not met.</summary>
    /// <param name="allowed">How long it may be.</param>
    /// <param name="measured">How long it was, in seconds.</param>
    public static string? Judge(TimeSpan? allowed, double? measured) => allowed is null ? null : measured <= allowed.Value.TotalSeconds ? Met : Missed;
}
