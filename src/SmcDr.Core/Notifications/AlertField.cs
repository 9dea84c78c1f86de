namespace SmcDr.Core.Notifications;

/// <summary>A fact that goes with an alert, such as the backup that it is about.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value.</param>
public sealed record AlertField(string Name, string Value);
