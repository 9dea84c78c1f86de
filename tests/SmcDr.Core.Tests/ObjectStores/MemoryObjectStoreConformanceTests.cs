using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>The store of other tests is tested itself.</summary>
public sealed class MemoryObjectStoreConformanceTests : ObjectStoreConformance
{
    private readonly MemoryObjectStore _store = new();

    protected override Task<IObjectStore> OpenAsync() => Task.FromResult<IObjectStore>(_store);

    protected override Task CloseAsync() => Task.CompletedTask;

    protected override Task<int> CountLeftoversAsync() => Task.FromResult(0);
}
