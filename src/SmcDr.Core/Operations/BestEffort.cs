namespace SmcDr.Core.Operations;

/// <summary>What is noted beside a command: it never fails the command, and keeps it no longer than a few seconds.</summary>
internal static class BestEffort
{
    // Enough for any store that works, and nothing beside the patience that a command itself has with one that does not.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(8);

    /// <summary>Does it within the limit.</summary>
    /// <returns>Why it was not done, to be put into a sentence; null where it was.</returns>
    public static async Task<string?> TryAsync(Func<CancellationToken, Task> work)
    {
        using CancellationTokenSource limit = new(s_limit);
        try
        {
            await work(limit.Token).WaitAsync(limit.Token).ConfigureAwait(false);
            return null;
        }
        catch (OperationCanceledException)
        {
            // The limit, or a pipeline that is over and gives no more secrets.
            return "the repository did not answer in time.";
        }
        catch (Exception e)
        {
            // Whatever it is, the command that is being noted matters more.
            return e.Message;
        }
    }
}
