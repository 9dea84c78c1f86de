namespace SmcDr.Core.Notifications;

/// <summary>How long receivers are tried.</summary>
public sealed record DeliveryOptions
{
    /// <summary>How long all attempts of a channel take together, pauses included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long one attempt may take.</summary>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>The pause after the first failure; each further one is twice as long.</summary>
    internal TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause that a receiver did not ask for.</summary>
    internal TimeSpan MaximumRetryDelay { get; init; } = TimeSpan.FromSeconds(30);

    internal TimeProvider Clock { get; init; } = TimeProvider.System;
}
