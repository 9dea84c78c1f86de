using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.ObjectStores;

public sealed class DirectoryObjectStoreConformanceTests : ObjectStoreConformance, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Root => Path.Combine(_directory.Path, "not yet", "there");

    protected override Task<IObjectStore> OpenAsync() => Task.FromResult<IObjectStore>(new DirectoryObjectStore(Root));

    public void Dispose() => _directory.Dispose();

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override Task<int> CountLeftoversAsync()
    {
        string folder = Path.Combine(Root, DirectoryObjectStore.TemporaryFolder);
        return Task.FromResult(Directory.Exists(folder) ? Directory.GetFileSystemEntries(folder).Length : 0);
    }
}
