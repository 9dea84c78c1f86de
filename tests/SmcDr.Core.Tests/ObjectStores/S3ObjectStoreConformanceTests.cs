using Amazon.S3.Model;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>The suite on S3, below a prefix, in small pages so that every list has several.</summary>
[NeedsMoto]
[Collection(MotoTests.Name)]
public sealed class S3ObjectStoreConformanceTests(MotoServer moto) : ObjectStoreConformance
{
    private string _bucket = "";

    protected override async Task<IObjectStore> OpenAsync()
    {
        _bucket = await moto.CreateBucketAsync();

        // Neighbours that share the prefix's letters and must never show.
        foreach (string key in new[] { "smcdr-other/x", "smcdr", "zzz" })
        {
            await moto.PutAsync(_bucket, key, [1]);
        }

        return moto.Open($"s3://{_bucket}/smcdr/site", options => options with { PageSize = 2 });
    }

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override async Task<int> CountLeftoversAsync()
    {
        ListMultipartUploadsResponse uploads = await moto.Client.ListMultipartUploadsAsync(
            new ListMultipartUploadsRequest { BucketName = _bucket });
        return uploads.MultipartUploads?.Count ?? 0;
    }
}
