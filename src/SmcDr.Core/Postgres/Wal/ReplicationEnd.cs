using System.Net.Sockets;
using Npgsql;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Ends the reading of a replication connection, whatever Npgsql is in the middle of.</summary>
internal static class ReplicationEnd
{
    /// <summary>How long a reading that was cancelled may go on before the server is asked to end it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Cancels the reading, and returns when it has ended. What was sent meanwhile is dropped: the next connection gets it again.</summary>
    /// <param name="messages">What is read.</param>
    /// <param name="next">The reading that is under way.</param>
    /// <param name="replication">Cancels it.</param>
    /// <param name="disconnect">Has the server end the connection; must not throw. Called again and again.</param>
    /// <param name="patience">How long each way may take.</param>
    public static async Task RunAsync<T>(
        IAsyncEnumerator<T> messages, Task<bool> next, CancellationTokenSource replication, Func<Task> disconnect, TimeSpan patience)
    {
        try
        {
            await replication.CancelAsync().ConfigureAwait(false);
        }
        catch (AggregateException e) when (e.Flatten().InnerExceptions.All(static inner => inner is ObjectDisposedException))
        {
            // A status that cannot be sent closes the connection at this very moment, and what Npgsql would cancel with is disposed of
            // (NpgsqlConnector.PerformImmediateUserCancellation). Then the read fails by itself.
        }

        Task drained = DrainAsync(messages, next);
        while (await Task.WhenAny(drained, Task.Delay(patience)).ConfigureAwait(false) != drained)
        {
            // A cancellation that comes while a keepalive is looked at is forgotten by the read that follows (ResettableCancellationTokenSource.Start), and as
            // long as the server sends keepalives no time limit ends that one either. A server that is away sends none.
            await disconnect().ConfigureAwait(false);
        }

        await drained.ConfigureAwait(false);
        await messages.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task DrainAsync<T>(IAsyncEnumerator<T> messages, Task<bool> next)
    {
        try
        {
            while (await next.ConfigureAwait(false))
            {
                next = messages.MoveNextAsync().AsTask();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or NpgsqlException or SocketException or IOException or TimeoutException or
            NullReferenceException or InvalidOperationException)
        {
            // Cancelled, or broken before: then the reason was thrown where it was met first. Cancelling takes the buffers away from a read
            // that Npgsql is in the middle of (NpgsqlConnector.ReadMessage).
        }
    }
}
