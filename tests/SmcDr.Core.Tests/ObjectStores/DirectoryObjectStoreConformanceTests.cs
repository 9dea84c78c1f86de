using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.ObjectStores;

public sealed class DirectoryObjectStoreConformanceTests : ObjectStoreConformance
{
    private readonly TemporaryDirectory _directory = new();

    private string Root => Path.Combine(_directory.Path, "not yet", "there");

    protected override Task<IObjectStore> OpenAsync() => Task.FromResult<IObjectStore>(new DirectoryObjectStore(Root));

    protected override Task CloseAsync()
    {
        _directory.Dispose();
        return Task.CompletedTask;
    }

    protected override Task<int> CountLeftoversAsync()
    {
        string folder = Path.Combine(Root, DirectoryObjectStore.TemporaryFolder);
        return Task.FromResult(Directory.Exists(folder) ? Directory.GetFileSystemEntries(folder).Length : 0);
    }
}
