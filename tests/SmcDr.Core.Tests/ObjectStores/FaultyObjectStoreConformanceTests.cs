using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>Without a plan, what the tests put before a store changes nothing: what fails with a plan fails by the plan.</summary>
public sealed class FaultyObjectStoreConformanceTests : ObjectStoreConformance, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    protected override Task<IObjectStore> OpenAsync() =>
        Task.FromResult<IObjectStore>(new FaultyObjectStore(new DirectoryObjectStore(_directory.Path)));

    public void Dispose() => _directory.Dispose();

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override Task<int> CountLeftoversAsync()
    {
        string folder = Path.Combine(_directory.Path, DirectoryObjectStore.TemporaryFolder);
        return Task.FromResult(Directory.Exists(folder) ? Directory.GetFileSystemEntries(folder).Length : 0);
    }
}
