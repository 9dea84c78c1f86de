using SmcDr.Core.Redis;

namespace SmcDr.Core.Regions;

/// <summary>What a Redis server says of itself. That it does not answer is an answer.</summary>
/// <param name="Server">Host and port.</param>
/// <param name="Info">What it says; null where it does not answer.</param>
/// <param name="Problem">Why it does not.</param>
internal sealed record RedisSighting(string Server, RedisInfo? Info, string? Problem)
{
    /// <summary>Asks, within a time.</summary>
    public static async Task<RedisSighting> LookAsync(RedisConnector connector, TimeSpan patience, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(patience);
        try
        {
            RedisConnection connection = await connector.OpenAsync(limit.Token).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                return new RedisSighting(connector.Display, await RedisSource.ReadInfoAsync(connection, limit.Token).ConfigureAwait(false), null);
            }
        }
        catch (SmcException e)
        {
            return new RedisSighting(connector.Display, null, e.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new RedisSighting(connector.Display, null, $"Redis at {connector.Display} did not answer within {DisplayText.Duration(patience)}.");
        }
    }
}
