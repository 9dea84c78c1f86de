namespace SmcDr;

/// <summary>What became of an alert on one channel of the site.</summary>
public sealed record AlertResult
{
    /// <summary>The channel's name in the site file, or its kind where it has none.</summary>
    public required string Channel { get; init; }

    /// <summary><c>Slack</c>, <c>Webhook</c>, <c>Email</c> or <c>Heartbeat</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>
    /// <c>Sent</c>. <c>Partial</c>: not everybody whom the channel names was taken. <c>Failed</c>: nobody was told. <c>Suppressed</c>: the channel was told of it
    /// not long ago. <c>BelowSeverity</c>: the channel asks for worse. <c>Planned</c>: it would be sent.
    /// </summary>
    public required string State { get; init; }

    /// <summary>How much it matters; none for a heartbeat.</summary>
    public AlertSeverity? Severity { get; init; }

    /// <summary>Its title.</summary>
    public string? Title { get; init; }

    /// <summary>What tells it from other alerts: alerts of the same key are not repeated within a time.</summary>
    public string? Key { get; init; }

    /// <summary>How often it was tried.</summary>
    public int Attempts { get; init; }

    /// <summary>When this was decided, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Where it was suppressed, when the channel was told, in UTC.</summary>
    public DateTimeOffset? LastSentTime { get; init; }

    /// <summary>How long it took, pauses included.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>What went wrong, in a sentence. Never holds an address that is a secret.</summary>
    public string? Problem { get; init; }

    /// <summary>What to do about it.</summary>
    public string? Recommendation { get; init; }
}
