using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Amazon.S3.Model;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.ObjectStores.ObjectStoreTestExtensions;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>What S3 adds to the contract, on a real server that behaves.</summary>
[Collection(MotoTests.Name)]
public sealed class S3ObjectStoreTests(MotoServer moto)
{
    private const int Mebibyte = 1024 * 1024;

    [MotoFact]
    public async Task List_MoreThanAPage_TellsAllInOrder()
    {
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/many");
        string[] keys = [.. Enumerable.Range(0, 1005).Select(static i => string.Create(CultureInfo.InvariantCulture, $"wal/{i:X8}"))];
        await Parallel.ForEachAsync(
            keys,
            new ParallelOptions { MaxDegreeOfParallelism = 4 },
            async (key, _) => await moto.PutAsync(bucket, "many/" + key, Bytes(1)));

        Assert.Equal(keys, await store.KeysAsync("wal/"));
        Assert.Equal(["wal"], await store.FoldersAsync());
    }

    [MotoFact]
    public async Task ListFolders_MoreThanAPage_NamesEachOnce()
    {
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", options => options with { PageSize = 3 });
        string[] folders = [.. Enumerable.Range(0, 10).Select(static i => $"folder-{i}")];
        foreach (string folder in folders)
        {
            await store.PutAsync(folder + "/1", Bytes(1), default);
            await store.PutAsync(folder + "/2", Bytes(1), default);
        }

        Assert.Equal(folders, await store.FoldersAsync());
    }

    [MotoFact]
    public async Task List_FolderMarkersAndForeignKeys_AreNotShown()
    {
        string bucket = await moto.CreateBucketAsync();
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/p");
        foreach (string key in new[] { "p/", "p/folder/", "p/a key with spaces", "p/a" })
        {
            await moto.PutAsync(bucket, key, []);
        }

        Assert.Equal(["a"], await store.KeysAsync());
    }

    [MotoFact]
    public async Task Create_LargerThanAPart_IsUploadedInParts()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        byte[] content = Bytes((16 * Mebibyte) + 1);
        await store.WriteAsync("large", content);

        Assert.Equal(3, proxy.Requests.Count(static request => request.Target.Contains("partNumber=", StringComparison.Ordinal)));
        GetObjectMetadataResponse head = await moto.Client.GetObjectMetadataAsync(bucket, "large");
        Assert.EndsWith("-3\"", head.ETag, StringComparison.Ordinal);
        Assert.Equal(content, await store.ReadAsync("large"));
    }

    [MotoFact]
    public async Task Create_ExactlyOnePart_IsOnePut()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.WriteAsync("one", Bytes(8 * Mebibyte));
        ProxiedRequest put = Assert.Single(proxy.Requests, static request => request.Method is "PUT" or "POST");
        Assert.Equal($"/{bucket}/one", put.Target);
    }

    [MotoFact]
    public async Task Put_ChecksumsOnlyWhereRequired_SendsBareContentAndItsSignature()
    {
        // The framing aws-chunked, and checksum trailers in it, end up in the objects of servers that do not know them.
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        byte[] content = Bytes(9 * Mebibyte);
        await store.PutAsync("small", content.AsMemory(0, 1000), default);
        await store.WriteAsync("large", content);

        ProxiedRequest[] bodies = [.. proxy.Requests.Where(static request => request.Method == "PUT")];
        Assert.Equal(3, bodies.Length);
        Assert.All(bodies, static request =>
        {
            Assert.Null(request.Header("Content-Encoding"));
            Assert.Null(request.Header("x-amz-trailer"));
            Assert.Matches("^[0-9a-f]{64}$", request.Header("x-amz-content-sha256"));
        });
        Assert.Equal(content[..1000], bodies[0].Body);
    }

    [MotoFact]
    public async Task Put_ChecksumsWhenSupported_SendsThemAndIsReadBack()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}?checksums=whenSupported", port: proxy.Port);
        byte[] content = Bytes(9 * Mebibyte);
        await store.PutAsync("small", content.AsMemory(0, 1000), default);
        await store.WriteAsync("large", content);

        Assert.All(proxy.Requests.Where(static request => request.Method == "PUT"), static request =>
        {
            Assert.Null(request.Header("Content-Encoding"));
            Assert.Contains(request.Headers.Keys, static name => name.StartsWith("x-amz-checksum-", StringComparison.OrdinalIgnoreCase));
        });
        Assert.Equal(content[..1000], await store.ReadAsync("small"));
        Assert.Equal(content, await store.ReadAsync("large"));
    }

    [MotoFact]
    public async Task Write_AnyObject_IsConditional()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("small", Bytes(10), default);
        await store.WriteAsync("large", Bytes(9 * Mebibyte));

        Assert.Equal("*", Assert.Single(proxy.Requests, request => request.Method == "PUT" && request.Target == $"/{bucket}/small").Header("If-None-Match"));
        Assert.Equal("*", Assert.Single(proxy.Requests, static request =>
            request.Method == "POST" && request.Target.Contains("uploadId=", StringComparison.Ordinal)).Header("If-None-Match"));
    }

    [MotoFact]
    public async Task Put_AfterProbe_NoLongerLooksFirst()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("before", Bytes(10), default);
        await store.ProbeAsync(default);
        await store.PutAsync("after", Bytes(10), default);

        Assert.Contains(proxy.Requests, request => request.Method == "HEAD" && request.Target == $"/{bucket}/before");
        Assert.DoesNotContain(proxy.Requests, request => request.Method == "HEAD" && request.Target == $"/{bucket}/after");
    }

    [MotoFact]
    public async Task Probe_PlainBucket_HasNeitherVersionsNorLock()
    {
        await using S3ObjectStore store = moto.Open($"s3://{await moto.CreateBucketAsync()}");
        Assert.Equal(new ObjectStoreCapabilities(ConditionalWrites: true, Versioning: false, ObjectLock: false), await store.ProbeAsync(default));
    }

    [MotoFact]
    public async Task Probe_BucketWithLock_TellsSo()
    {
        await using S3ObjectStore store = moto.Open($"s3://{await moto.CreateBucketAsync(objectLock: true)}");
        ObjectStoreCapabilities capabilities = await store.ProbeAsync(default);
        Assert.True(capabilities.ObjectLock);
        Assert.True(capabilities.Versioning);
    }

    [MotoFact]
    public async Task Put_BucketThatDemandsMd5_SendsIt()
    {
        // A bucket with a default retention accepts no PUT without Content-MD5 or a checksum.
        string bucket = await moto.CreateBucketAsync(objectLock: true);
        await moto.Client.PutObjectLockConfigurationAsync(new PutObjectLockConfigurationRequest
        {
            BucketName = bucket,
            ObjectLockConfiguration = new ObjectLockConfiguration
            {
                ObjectLockEnabled = Amazon.S3.ObjectLockEnabled.Enabled,
                Rule = new ObjectLockRule
                {
                    DefaultRetention = new DefaultRetention { Days = 1, Mode = Amazon.S3.ObjectLockRetentionMode.Governance },
                },
            },
        });
        await using S3ObjectStore store = moto.Open($"s3://{bucket}");
        byte[] content = Bytes(9 * Mebibyte);
        await store.PutAsync("small", content.AsMemory(0, 100), default);
        await store.WriteAsync("large", content);
        Assert.Equal(content[..100], await store.ReadAsync("small"));
        Assert.Equal(content, await store.ReadAsync("large"));
    }

    [MotoFact]
    public async Task EveryCall_NoSuchBucket_SaysSoAndNeverAbsent()
    {
        await using S3ObjectStore store = moto.Open("s3://nobody-made-this");
        Func<Task>[] calls =
        [
            () => store.GetInfoAsync("key", default),
            () => store.OpenReadAsync("key", 0, null, default),
            () => store.PutAsync("key", Bytes(1), default),
            () => store.WriteAsync("key", Bytes(9 * Mebibyte)),
            () => store.KeysAsync(),
            () => store.FoldersAsync(),
            () => store.ProbeAsync(default),
        ];
        foreach (Func<Task> call in calls)
        {
            SmcException exception = await SmcErrorCode.StorageUnavailable.ThrowsAsync(call);
            Assert.Contains("nobody-made-this", exception.Message, StringComparison.Ordinal);
            Assert.Contains("Create the bucket", exception.Recommendation, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task EveryCall_NobodyListens_ThrowsStorageUnavailable()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        await using S3ObjectStore store = moto.Open("s3://bucket", static options => options with { Retries = 1 }, port);
        Func<Task>[] calls =
        [
            () => store.GetInfoAsync("key", default),
            () => store.OpenReadAsync("key", 0, null, default),
            () => store.PutAsync("key", Bytes(1), default),
            () => store.KeysAsync(),
            () => store.DeleteAsync("key", default),
        ];
        foreach (Func<Task> call in calls)
        {
            SmcException exception = await SmcErrorCode.StorageUnavailable.ThrowsAsync(call);
            Assert.Contains("refused", exception.Message, StringComparison.Ordinal);
        }
    }

    [MotoFact]
    public async Task Delete_VersionedBucket_HidesTheObject()
    {
        string bucket = await moto.CreateBucketAsync();
        await moto.Client.PutBucketVersioningAsync(new PutBucketVersioningRequest
        {
            BucketName = bucket,
            VersioningConfig = new S3BucketVersioningConfig { Status = Amazon.S3.VersionStatus.Enabled },
        });
        await using S3ObjectStore store = moto.Open($"s3://{bucket}");
        await store.PutAsync("key", Bytes(10), default);
        await store.DeleteAsync("key", default);
        Assert.Null(await store.GetInfoAsync("key", default));
        Assert.Empty(await store.KeysAsync());
        await SmcErrorCode.ObjectNotFound.ThrowsAsync(() => store.OpenReadAsync("key", 0, null, default));
    }
}
