namespace SmcDr.Core.Notifications;

/// <summary>The file of <see cref="AlertHistory"/>.</summary>
internal sealed record AlertHistoryFile
{
    public int Format { get; init; } = 1;

    /// <summary>By a digest of channel and key.</summary>
    public required Dictionary<string, AlertSighting> Sightings { get; init; }
}
