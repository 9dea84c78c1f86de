using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Leases;

/// <summary>On S3, in small pages so that the list of epochs has several.</summary>
[NeedsMoto]
[Collection(MotoTests.Name)]
public sealed class S3FencingTests(MotoServer moto) : FencingConformance
{
    protected override async Task<IObjectStore> OpenAsync()
    {
        string bucket = await moto.CreateBucketAsync();
        return moto.Open($"s3://{bucket}/orders?region=us-east-1&pathStyle=true", options => options with { PageSize = 3 });
    }
}
