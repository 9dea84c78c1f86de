namespace SmcDr.Core.Notifications;

/// <summary>How an alert is sent.</summary>
public sealed record AlertSendOptions
{
    /// <summary>The channels by name; empty = all of the site.</summary>
    public IReadOnlyList<string> Channels { get; init; } = [];

    /// <summary>For how long a channel that was told is not told again; null = as the site says, else <see cref="DefaultRepeatAfter"/>.</summary>
    public TimeSpan? RepeatAfter { get; init; }

    /// <summary>Whether it is sent although the channel was told, or asks for worse.</summary>
    public bool Force { get; init; }

    /// <summary>Whether nothing is sent, and only said what would be.</summary>
    public bool IsPreview { get; init; }

    /// <summary>Where it is noted what was told; null = nowhere.</summary>
    public string? StateDirectory { get; init; }

    /// <summary>How long receivers are tried.</summary>
    public DeliveryOptions Delivery { get; init; } = new();

    /// <summary>Is asked about each channel before it is told; null = nobody is.</summary>
    public Func<string, Task<bool>>? Approve { get; init; }

    /// <summary>The directory of SmcDr's state: <c>SMCDR_STATE_DIR</c>, else as the XDG base directories have it; null where this account has none.</summary>
    public static string? FindStateDirectory(Func<string, string?> environment) => AlertHistory.FindDirectory(environment);

    /// <summary>Long enough not to be a nuisance, short enough that a shift hears of what the one before it left.</summary>
    public static TimeSpan DefaultRepeatAfter { get; } = TimeSpan.FromHours(4);
}
