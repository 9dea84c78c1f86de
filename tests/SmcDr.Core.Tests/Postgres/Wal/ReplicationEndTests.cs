using System.Threading.Channels;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>The end of a stream's reading, also where Npgsql has forgotten that it was cancelled.</summary>
public sealed class ReplicationEndTests
{
    [Fact]
    public async Task RunAsync_ReadingThatHearsTheCancellation_NeedsNoServer()
    {
        using CancellationTokenSource replication = new();
        Channel<int> channel = Channel.CreateUnbounded<int>();
        IAsyncEnumerator<int> messages = channel.Reader.ReadAllAsync(replication.Token).GetAsyncEnumerator(default);

        await ReplicationEnd.RunAsync(
            messages, messages.MoveNextAsync().AsTask(), replication, () => throw new InvalidOperationException("Not needed."), TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task RunAsync_ReadingThatMissesTheCancellation_IsEndedByTheServer_WhichIsAskedUntilItIs()
    {
        using CancellationTokenSource replication = new();
        Channel<int> channel = Channel.CreateUnbounded<int>();
        IAsyncEnumerator<int> messages = channel.Reader.ReadAllAsync(default).GetAsyncEnumerator(default);
        int asked = 0;

        await ReplicationEnd.RunAsync(
            messages,
            messages.MoveNextAsync().AsTask(),
            replication,
            () =>
            {
                // Something is on its way still, and the first question gets lost.
                channel.Writer.TryWrite(asked);
                if (++asked == 2)
                {
                    channel.Writer.Complete(new IOException("The connection was closed."));
                }

                return Task.CompletedTask;
            },
            TimeSpan.FromMilliseconds(20));

        Assert.Equal(2, asked);
        Assert.True(replication.IsCancellationRequested);
    }
}
