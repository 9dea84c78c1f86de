namespace SmcDr.Core.Notifications;

/// <summary>One attempt to tell somebody failed. Its message holds no secret, and it has no inner exception whose message could.</summary>
internal sealed class DeliveryException(string message, bool mayPass, string? recommendation = null, TimeSpan? retryAfter = null, bool isPartial = false)
    : Exception(message)
{
    /// <summary>Whether it may be otherwise in a while.</summary>
    public bool MayPass { get; } = mayPass;

    /// <summary>What to do about it.</summary>
    public string? Recommendation { get; } = recommendation;

    /// <summary>When the receiver wants to be asked again.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;

    /// <summary>Whether somebody was told all the same, in this attempt or an earlier one.</summary>
    public bool IsPartial { get; } = isPartial;
}
