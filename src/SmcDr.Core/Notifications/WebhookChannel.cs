namespace SmcDr.Core.Notifications;

/// <summary>A webhook that takes JSON: Slack's, or any.</summary>
internal sealed class WebhookChannel(WebhookClient client, byte[] message) : IAlertChannel
{
    private readonly Guid _id = Guid.NewGuid();

    public void Dispose() => client.Dispose();

    public async Task<string?> SendAsync(CancellationToken cancellationToken)
    {
        await client.SendAsync(message, _id, cancellationToken).ConfigureAwait(false);
        return null;
    }
}
