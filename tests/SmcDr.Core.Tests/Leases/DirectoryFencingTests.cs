using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Leases;

public sealed class DirectoryFencingTests : FencingConformance, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    protected override Task<IObjectStore> OpenAsync() =>
        Task.FromResult<IObjectStore>(new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")));
}
