using System.Globalization;
using System.Security.Cryptography;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Repositories;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Kubernetes;

[Collection(ClusterCollection.Name)]
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
                Assert.Equal(into.Sha256, from.Sha256);
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
}
