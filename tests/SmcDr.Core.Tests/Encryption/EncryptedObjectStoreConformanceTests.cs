using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Encryption;

/// <summary>The suite on the encrypted view of a directory.</summary>
public sealed class EncryptedDirectoryConformanceTests : ObjectStoreConformance, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    protected override Task<IObjectStore> OpenAsync() => Task.FromResult<IObjectStore>(
        new EncryptedObjectStore(new DirectoryObjectStore(_directory.Path), new RepositoryKeyring([RepositoryKey.Create()])));

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override Task<int> CountLeftoversAsync()
    {
        string folder = Path.Combine(_directory.Path, DirectoryObjectStore.TemporaryFolder);
        return Task.FromResult(Directory.Exists(folder) ? Directory.GetFileSystemEntries(folder).Length : 0);
    }
}

/// <summary>The suite on the encrypted view of memory.</summary>
public sealed class EncryptedMemoryConformanceTests : ObjectStoreConformance
{
    [ConformanceFact]
    public override void Location_Parsed_NamesTheSameStore() => Assert.Equal("memory://test", Store.Location);

    protected override Task<IObjectStore> OpenAsync() => Task.FromResult<IObjectStore>(
        new EncryptedObjectStore(new MemoryObjectStore(), new RepositoryKeyring([RepositoryKey.Create()])));

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override Task<int> CountLeftoversAsync() => Task.FromResult(0);
}

/// <summary>The suite on the encrypted view of S3.</summary>
[NeedsMoto]
[Collection(MotoTests.Name)]
public sealed class EncryptedS3ConformanceTests(MotoServer moto) : ObjectStoreConformance
{
    protected override async Task<IObjectStore> OpenAsync() => new EncryptedObjectStore(
        moto.Open($"s3://{await moto.CreateBucketAsync()}/site"), new RepositoryKeyring([RepositoryKey.Create()]));

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override Task<int> CountLeftoversAsync() => Task.FromResult(0);
}
