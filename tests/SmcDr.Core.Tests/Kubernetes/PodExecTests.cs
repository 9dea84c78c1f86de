using System.Security.Cryptography;
using System.Text;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes;

[Collection(ClusterGroup.Name)]
public sealed class PodExecTests(ClusterFixture cluster)
{
    [ClusterFact]
    public async Task RunAsync_CommandWithOutputErrorsAndExitCode_TellsAllThree()
    {
        PodTarget pod = await cluster.BusyboxAsync();

        ExecResult result = await cluster.Client.RunAsync(pod, ["sh", "-c", "echo out; echo err >&2; exit 7"], default);

        Assert.Equal(new ExecResult(7, "out\n", "err\n"), result);
    }

    [ClusterFact]
    public async Task RunAsync_ArgumentsWithSpecialCharacters_ArriveUnchanged()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        string argument = "a b&c=d?e#f%20\"g'h$i\\j\u00e4\u20ac\n+";

        ExecResult result = await cluster.Client.RunAsync(pod, ["printf", "%s", argument], default);

        Assert.Equal(argument, result.Output);
    }

    [ClusterFact]
    public async Task RunAsync_ProgramThatIsNotThere_IsAnErrorThatNamesIt()
    {
        PodTarget pod = await cluster.BusyboxAsync();

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => cluster.Client.RunAsync(pod, ["no-such-program"], default));

        Assert.Equal(SmcErrorCode.PodCommandFailed, failure.Code);
        Assert.Contains("no-such-program", failure.Message, StringComparison.Ordinal);
        Assert.Contains("helper pod", failure.Recommendation, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task RunAsync_PodThatIsNotThere_IsResourceNotFound()
    {
        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => cluster.Client.RunAsync(new PodTarget(cluster.Namespace, "nobody"), ["true"], default));

        Assert.Equal(SmcErrorCode.ResourceNotFound, failure.Code);
        Assert.Contains("nobody", failure.Message, StringComparison.Ordinal);
    }

    [ClusterTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ExecAsync_ReaderThatWaits_LosesNothing(bool isBulk)
    {
        PodTarget pod = await cluster.BusyboxAsync();
        // More than all buffers on the way together, so that the command must have been held up.
        const int length = 64 << 20;
        await using PodProcess process = await cluster.Client.ExecAsync(
            pod, ["sh", "-c", $"yes 0123456789abcde | head -c {length}; echo done >&2"], new ExecOptions { IsBulk = isBulk }, default);
        await Task.Delay(TimeSpan.FromSeconds(2));

        Assert.DoesNotContain("done", process.ErrorText, StringComparison.Ordinal);
        long total = 0;
        byte[] buffer = new byte[1 << 20];
        byte[] expected = Encoding.ASCII.GetBytes("0123456789abcde\n");
        int read;
        while ((read = await process.StandardOutput.ReadAsync(buffer)) > 0)
        {
            for (int i = 0; i < read; i++)
            {
                if (buffer[i] != expected[(int)((total + i) % 16)])
                {
                    Assert.Fail($"Byte {total + i} is another one.");
                }
            }

            total += read;
        }

        Assert.Equal(length, total);
        Assert.Equal(0, await process.WaitAsync(default));
    }

    [ClusterTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ExecAsync_InputForCommand_ArrivesWhole(bool isBulk)
    {
        PodTarget pod = await cluster.BusyboxAsync();
        byte[] data = RandomNumberGenerator.GetBytes(3_000_000);
        await using PodProcess process = await cluster.Client.ExecAsync(
            pod, ["sh", "-c", $"head -c {data.Length} | sha256sum"], new ExecOptions { Input = true, IsBulk = isBulk }, default);

        await process.StandardInput.WriteAsync(data);
        using StreamReader reader = new(process.StandardOutput);
        string said = await reader.ReadToEndAsync();

        Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(data)), said, StringComparison.Ordinal);
        Assert.Equal(0, await process.WaitAsync(default));
    }

    [ClusterFact]
    public async Task ExecAsync_BulkWhoseInputIsClosed_TellsOutputErrorsAndExitCode()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        byte[] data = RandomNumberGenerator.GetBytes(3_000_000);
        using KubernetesClient client = new(cluster.Client.Access, new KubernetesClientOptions { BulkBySpdy = true });
        await using PodProcess process = await client.ExecAsync(
            pod, ["sh", "-c", "sha256sum; echo err >&2; exit 7"], new ExecOptions { Input = true, IsBulk = true }, default);
        Assert.Equal("SPDY/3.1", process.Protocol);
        Assert.True(process.CanCloseInput);

        await process.StandardInput.WriteAsync(data);
        await process.CloseInputAsync(default);
        using StreamReader reader = new(process.StandardOutput);

        Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(data)), await reader.ReadToEndAsync(), StringComparison.Ordinal);
        Assert.Equal((7, "err\n"), (await process.WaitAsync(default), process.ErrorText));
    }

    [ClusterTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ExecAsync_CommandThatTakesNoInput_HoldsTheWriterUpAndAnswersAllTheSame(bool isBulk)
    {
        PodTarget pod = await cluster.BusyboxAsync();
        await using PodProcess process = await cluster.Client.ExecAsync(
            pod, ["sh", "-c", "echo ready; sleep 100000"], new ExecOptions { Input = true, IsBulk = isBulk }, default);
        byte[] line = new byte[6];
        await process.StandardOutput.ReadExactlyAsync(line);

        using CancellationTokenSource stop = new(TimeSpan.FromSeconds(3));
        long written = 0;
        byte[] chunk = new byte[1 << 20];
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (true)
            {
                await process.StandardInput.WriteAsync(chunk, stop.Token);
                written += chunk.Length;
            }
        });

        Assert.True(stop.IsCancellationRequested, "The writer was not held up.");
        Assert.InRange(written, 0, 64 << 20);
    }

    [ClusterFact]
    public async Task ExecAsync_PodDeletedMeanwhile_IsNeverACleanEnd()
    {
        PodTarget pod = await cluster.PodAsync("short-lived", "busybox:1.35", "exec sleep 100000");
        await using PodProcess process = await cluster.Client.ExecAsync(pod, ["sh", "-c", "echo ready; sleep 100000"], null, default);
        await process.StandardOutput.ReadExactlyAsync(new byte[6]);

        await cluster.Client.DeleteAsync(
            KubernetesResource.Pods, pod.Namespace, pod.Pod, new DeleteOptions { GracePeriod = TimeSpan.Zero }, default);

        // Killed with its container, the command has the exit code of that, or the connection broke: never zero.
        try
        {
            while (await process.StandardOutput.ReadAsync(new byte[16]) > 0)
            {
            }

            Assert.NotEqual(0, await process.WaitAsync(default));
        }
        catch (SmcException e)
        {
            Assert.Contains(e.Code, new[] { SmcErrorCode.PodStreamBroken, SmcErrorCode.PodCommandFailed });
        }
    }

    [ClusterFact]
    public async Task ExecAsync_Terminal_CanBeResized()
    {
        PodTarget pod = await cluster.BusyboxAsync();
        await using PodProcess process = await cluster.Client.ExecAsync(
            pod, ["sh"], new ExecOptions { Input = true, Terminal = true }, default);
        await process.ResizeAsync(133, 44, default);
        await process.StandardInput.WriteAsync("until [ \"$(stty size)\" = '44 133' ]; do sleep 0.1; done; exit 5\n"u8.ToArray());

        Task drain = process.StandardOutput.CopyToAsync(Stream.Null);

        Assert.Equal(5, await process.WaitAsync(default));
        await drain;
    }

    [ClusterFact]
    public async Task AttachAsync_MainProgram_ShowsWhatItWrites()
    {
        PodTarget pod = await cluster.PodAsync("ticking", "busybox:1.35", "while true; do echo tick; sleep 0.2; done");
        await using PodProcess process = await cluster.Client.AttachAsync(pod, null, default);

        byte[] line = new byte[5];
        await process.StandardOutput.ReadExactlyAsync(line);

        Assert.Equal("tick\n", Encoding.ASCII.GetString(line));
    }
}
