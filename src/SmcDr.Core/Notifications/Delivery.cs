using SmcDr.Core.Operations;

namespace SmcDr.Core.Notifications;

/// <summary>Tries until somebody is told, it is plain that nobody will be, or the time is up.</summary>
internal static class Delivery
{
    /// <param name="who">The channel, for messages.</param>
    /// <param name="attempt">One attempt, which gives what was left undone, or null; throws <see cref="DeliveryException"/>.</param>
    /// <param name="options">How long.</param>
    /// <param name="observer">Hears of each failed attempt.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task<DeliveryOutcome> RunAsync(
        string who,
        Func<CancellationToken, Task<string?>> attempt,
        DeliveryOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        long start = options.Clock.GetTimestamp();
        bool isPartial = false;
        for (int attempts = 1; ; attempts++)
        {
            DeliveryException failure;
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(options.AttemptTimeout);
            try
            {
                string? undone = await attempt(limit.Token).ConfigureAwait(false);
                return new DeliveryOutcome(attempts, IsDelivered: true, undone, null, options.Clock.GetElapsedTime(start));
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                failure = new DeliveryException($"It did not answer within {DisplayText.Duration(options.AttemptTimeout)}.", mayPass: true);
            }
            catch (DeliveryException e)
            {
                failure = e;
            }

            isPartial |= failure.IsPartial;

            TimeSpan pause = failure.RetryAfter ?? Pause(options, attempts);
            TimeSpan left = options.Timeout - options.Clock.GetElapsedTime(start);
            if (!failure.MayPass || pause > left)
            {
                string problem = !failure.MayPass ? failure.Message
                    : failure.RetryAfter is { } asked
                        ? $"{failure.Message} It asks to wait for {DisplayText.Duration(asked)}, and there are {DisplayText.Duration(left > TimeSpan.Zero ? left : TimeSpan.Zero)} left."
                        : $"{failure.Message} It was tried {attempts} times in {DisplayText.Duration(options.Clock.GetElapsedTime(start))}.";
                return new DeliveryOutcome(attempts, isPartial, problem, failure.Recommendation, options.Clock.GetElapsedTime(start));
            }

            observer.Verbose($"{who}: {failure.Message} Trying again in {DisplayText.Duration(pause)}.");
            await Task.Delay(pause, options.Clock, cancellationToken).ConfigureAwait(false);
        }
    }

    private static TimeSpan Pause(DeliveryOptions options, int attempts)
    {
        double longest = Math.Min(options.MaximumRetryDelay.TotalMilliseconds, options.RetryDelay.TotalMilliseconds * Math.Pow(2, Math.Min(attempts - 1, 16)));
        return TimeSpan.FromMilliseconds(longest * (0.5 + (0.5 * Random.Shared.NextDouble())));
    }
}
