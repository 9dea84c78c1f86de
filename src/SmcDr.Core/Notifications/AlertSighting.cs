namespace SmcDr.Core.Notifications;

/// <summary>When a channel was told of something, and how bad it was then.</summary>
internal sealed record AlertSighting(AlertSeverity Severity, DateTimeOffset Time);
