using System.Globalization;
using System.Security.Cryptography;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Repositories;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Kubernetes;

[Collection(ClusterGroup.Name)]
public sealed class PodTransferTests(ClusterFixture cluster, ITestOutputHelper output)
{
    [ClusterFact]
    public async Task Transfer_LargeFile_Timed()
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable("SMCDR_TEST_TRANSFER_MB"), CultureInfo.InvariantCulture, out int size))
        {
            size = 64;
        }

        string file = Path.Combine(Path.GetTempPath(), $"smcdr-{Guid.NewGuid():N}");
        string back = file + ".back";
        try
        {
            byte[] block = RandomNumberGenerator.GetBytes(1 << 20);
            using (FileStream stream = File.Create(file))
            {
                for (int i = 0; i < size; i++)
                {
                    BitConverter.TryWriteBytes(block, i);
                    stream.Write(block);
                }
            }

            foreach (PodTarget pod in new[] { await cluster.BusyboxAsync(), await cluster.CoreutilsAsync() })
            {
                PodTransfer transfer = new(cluster.Client);
                PodTransferResult into = await transfer.UploadFileAsync(file, pod, "/tmp/large", default);
                PodTransferResult from = await transfer.DownloadFileAsync(pod, "/tmp/large", back, default);

                output.WriteLine($"{pod}: in {into}, out {from}");
                Assert.Equal((long)size << 20, from.Length);
                await cluster.Client.RunAsync(pod, ["rm", "/tmp/large"], default);
                using FileStream one = File.OpenRead(file), other = File.OpenRead(back);
                Assert.Equal(await SHA256.HashDataAsync(one), await SHA256.HashDataAsync(other));
            }
        }
        finally
        {
            File.Delete(file);
            File.Delete(back);
        }
    }

    [ClusterTheory]
    [InlineData(25, 20261124, true)]
    [InlineData(8, 20261126, false)]
    public async Task UploadAsync_CutAtRandomOffsets_IsNeverSilentlyShort(int cuts, int seed, bool bySpdy) =>
        await CutAsync(await cluster.BusyboxAsync(), cuts, seed, bySpdy, upload: true);

    [ClusterTheory]
    [InlineData(25, 20261125, true)]
    [InlineData(8, 20261127, false)]
    public async Task DownloadAsync_CutAtRandomOffsets_IsNeverSilentlyShort(int cuts, int seed, bool bySpdy) =>
        await CutAsync(await cluster.BusyboxAsync(), cuts, seed, bySpdy, upload: false);

    [ClusterFact]
    public async Task UploadAsync_StreamThatCannotGoBack_IsResumedAfterCutsAllTheSame()
    {
        PodTarget pod = await cluster.CoreutilsAsync();
        byte[] data = RandomNumberGenerator.GetBytes((5 << 20) + 12345);
        Queue<long?> budgets = new([2_000_000, 1_500_000, 3_000_000]);
        await using CuttingProxy proxy = Proxy(() => budgets.TryDequeue(out long? budget) ? budget : null);
        using KubernetesClient client = Through(proxy);
        PodTransfer transfer = new(client, new PodTransferOptions { SegmentSize = 1 << 20, RetryDelay = TimeSpan.FromMilliseconds(20) });

        PodTransferResult result = await transfer.UploadAsync(new OneWayStream(data), null, pod, "/tmp/one way", default);

        Assert.Equal(3, proxy.Cuts);
        Assert.Equal(3, result.Breaks);
        Assert.StartsWith(
            Hash256.Compute(data).ToString(), (await cluster.Client.RunAsync(pod, ["sha256sum", "/tmp/one way"], default)).Output, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task Transfer_SmallAndEmptyFiles_ArriveWhole()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        PodTransfer transfer = new(cluster.Client, new PodTransferOptions { SegmentSize = 1 << 20 });
        foreach (int length in new[] { 0, 1, 65535, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20 })
        {
            byte[] data = RandomNumberGenerator.GetBytes(length);
            PodTransferResult into = await transfer.UploadAsync(new MemoryStream(data), length, pod, "/tmp/sm'all $x", default);
            using MemoryStream back = new();
            PodTransferResult from = await transfer.DownloadAsync(pod, "/tmp/sm'all $x", back, default);

            Assert.Equal((length, length), ((int)into.Length, (int)from.Length));
            Assert.Equal(data, back.ToArray());
        }

        Assert.Equal("sm'all $x\n", (await cluster.Client.RunAsync(pod, ["sh", "-c", "ls /tmp | grep all"], default)).Output);
    }

    [ClusterFact]
    public async Task UploadAsync_SourceShorterThanAnnounced_IsAnErrorAndLeavesNothing()
    {
        PodTarget pod = await cluster.BusyboxAsync();

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => new PodTransfer(cluster.Client).UploadAsync(new MemoryStream(new byte[1000]), 1001, pod, "/tmp/announced", default));

        Assert.Equal(SmcErrorCode.PodTransferFailed, failure.Code);
        Assert.Contains("1001", failure.Message, StringComparison.Ordinal);
        Assert.Equal("", (await cluster.Client.RunAsync(pod, ["sh", "-c", "ls /tmp | grep announced"], default)).Output);
    }

    [ClusterFact]
    public async Task UploadAsync_FileThatIsThere_IsKeptUnlessItMayBeReplaced()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        await cluster.Client.RunAsync(pod, ["sh", "-c", "echo old > /tmp/kept"], default);

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => new PodTransfer(cluster.Client, new PodTransferOptions { Overwrite = false })
                .UploadAsync(new MemoryStream(new byte[10]), 10, pod, "/tmp/kept", default));

        Assert.Equal(SmcErrorCode.TargetNotEmpty, failure.Code);
        Assert.Equal("old\n", (await cluster.Client.RunAsync(pod, ["cat", "/tmp/kept"], default)).Output);
    }

    [ClusterFact]
    public async Task Transfer_PathThatIsNotThere_IsAnErrorThatNamesIt()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        PodTransfer transfer = new(cluster.Client);

        SmcException from = await Assert.ThrowsAsync<SmcException>(() => transfer.DownloadAsync(pod, "/no/such/file", Stream.Null, default));
        SmcException into = await Assert.ThrowsAsync<SmcException>(
            () => transfer.UploadAsync(new MemoryStream(new byte[10]), 10, pod, "/no/such/file", default));

        Assert.Equal(SmcErrorCode.ResourceNotFound, from.Code);
        Assert.Equal(SmcErrorCode.PodCommandFailed, into.Code);
        Assert.Contains("/no/such/file", from.Message, StringComparison.Ordinal);
        Assert.Contains("/no/such/file", into.Message, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task DownloadAsync_FileThatGrowsMeanwhile_IsAnError()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        // More than all buffers on the way hold: the pod must not be done with it before it grows.
        await cluster.Client.RunAsync(pod, ["sh", "-c", "head -c 67108864 /dev/urandom > /tmp/grows"], default);
        bool grown = false;
        HookStream destination = new(async () =>
        {
            if (!grown)
            {
                grown = true;
                await cluster.Client.RunAsync(pod, ["sh", "-c", "echo more >> /tmp/grows"], default);
            }
        });

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => new PodTransfer(cluster.Client, new PodTransferOptions { SegmentSize = 1 << 20 }).DownloadAsync(pod, "/tmp/grows", destination, default));

        Assert.Equal(SmcErrorCode.PodTransferFailed, failure.Code);
        Assert.Contains("changed", failure.Message, StringComparison.Ordinal);
    }

    private async Task CutAsync(PodTarget pod, int cuts, int seed, bool bySpdy, bool upload)
    {
        Random random = new(seed);
        int given = 0;
        byte[] data = new byte[(24 << 20) + 4711];
        random.NextBytes(data);
        string name = upload ? "/tmp/cut-in" : "/tmp/cut-out";
        if (!upload)
        {
            await new PodTransfer(cluster.Client).UploadAsync(new MemoryStream(data), data.Length, pod, name, default);
        }

        await using CuttingProxy proxy = Proxy(() =>
        {
            lock (random)
            {
                // Some die in the handshake, most in the middle.
                return given++ < cuts ? random.Next(4) == 0 ? random.Next(1, 40_000) : random.Next(40_000, 4_000_000) : null;
            }
        });
        using KubernetesClient client = Through(proxy, bySpdy);
        PodTransfer transfer = new(
            client, new PodTransferOptions { SegmentSize = 1 << 20, RetryDelay = TimeSpan.FromMilliseconds(20), MaximumFailures = 30 });

        using MemoryStream back = new();
        PodTransferResult result = upload
            ? await transfer.UploadAsync(new OneWayStream(data), data.Length, pod, name, default)
            : await transfer.DownloadAsync(pod, name, back, default);

        // A connection that needed less than it was given is not cut.
        Assert.True(proxy.Cuts >= cuts - 5, $"There were {proxy.Cuts} cuts.");
        Assert.Equal(data.Length, result.Length);
        if (upload)
        {
            Assert.StartsWith(
                Hash256.Compute(data).ToString(), (await cluster.Client.RunAsync(pod, ["sha256sum", name], default)).Output, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(data, back.ToArray());
        }

        output.WriteLine($"{proxy.Cuts} cuts: {result}");
        // What the cuts have left behind in the pod ends by itself.
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
        while ((await cluster.Client.RunAsync(pod, ["sh", "-c", "ps | grep -c '[s]mcdr /tmp/cut'"], limit.Token)).Output.Trim() != "0")
        {
            await Task.Delay(200, limit.Token);
        }
    }

    private CuttingProxy Proxy(Func<long?> budget) => new(cluster.Client.Access.Server.Port, budget);

    private KubernetesClient Through(CuttingProxy proxy, bool? bySpdy = null) => new(
        cluster.Client.Access with { Server = new Uri($"https://127.0.0.1:{proxy.Port}") },
        new KubernetesClientOptions { RetryDelay = TimeSpan.FromMilliseconds(20), BulkBySpdy = bySpdy });

    /// <summary>A source that can be read once, as the output of a program.</summary>
    private sealed class OneWayStream(byte[] data) : MemoryStream(data)
    {
        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin loc) => throw new NotSupportedException();
    }

    private sealed class HookStream(Func<Task> hook) : MemoryStream
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => await hook();
    }
}
