namespace SmcDr.Core.Notifications;

/// <summary>A way to one receiver, with its secrets resolved, for one alert.</summary>
internal interface IAlertChannel : IDisposable
{
    /// <summary>Sends the alert once.</summary>
    /// <returns>What was left undone although somebody was told, or null.</returns>
    /// <exception cref="DeliveryException">Nobody was told.</exception>
    Task<string?> SendAsync(CancellationToken cancellationToken);
}
