using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.Copies;

/// <summary>A repository with sample backups in one directory, and a copy of it in another.</summary>
internal sealed class CopyLab : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public string SourcePath => Path.Combine(_directory.Path, "source");

    public string CopyPath => Path.Combine(_directory.Path, "copy");

    public DirectoryObjectStore Source => new(SourcePath);

    public DirectoryObjectStore Copy => new(CopyPath);

    public RecordingObserver Observer { get; } = new();

    public static async Task<RepositoryCopy> OpenAsync(IObjectStore source, IObjectStore destination, IOperationObserver? observer = null) =>
        await RepositoryCopy.OpenAsync(
            await Repository.OpenAsync(source, CancellationToken.None),
            destination,
            null,
            observer ?? NullObserver.Instance,
            parallelism: 3,
            CancellationToken.None);

    public static async Task<List<BackupCopyResult>> CopyAllAsync(
        IObjectStore source, IObjectStore destination, IOperationObserver? observer = null, CancellationToken cancellationToken = default)
    {
        RepositoryCopy copy = await OpenAsync(source, destination, observer);
        List<BackupCopyResult> results = [];
        await foreach (BackupCopyResult result in copy.CopyAllAsync(cancellationToken))
        {
            results.Add(result);
        }

        return results;
    }

    public Task<List<BackupCopyResult>> CopyAllAsync() => CopyAllAsync(Source, Copy, Observer);

    public async Task<string> BackUpAsync(int seed = 1) => (await SampleBackup.WriteAsync(
        await Repository.OpenOrCreateAsync(Source, CancellationToken.None), SampleBackup.Files(seed))).Id;

    /// <summary>The repository with its copy behind it.</summary>
    public Task<Repository> OpenWithCopyAsync() => RepositoryCopies.OpenAsync(
        PlaceOf(Source), [PlaceOf(Copy)], Observer, CancellationToken.None);

    public static RepositoryPlace PlaceOf(IObjectStore store) => new(store.Location, token => Repository.OpenAsync(store, token));

    public static async Task AssertSameObjectsAsync(IObjectStore expected, IObjectStore actual)
    {
        List<string> keys = await expected.KeysAsync();
        Assert.Equal(keys, await actual.KeysAsync());
        foreach (string key in keys)
        {
            Assert.Equal(await expected.ReadAsync(key), await actual.ReadAsync(key));
        }
    }

    /// <summary>Changes a byte in the middle of an object.</summary>
    public static void Flip(string root, string key)
    {
        byte[] content = File.ReadAllBytes(Path.Combine(root, key));
        content[content.Length / 2] ^= 1;
        File.WriteAllBytes(Path.Combine(root, key), content);
    }

    public void Dispose() => _directory.Dispose();
}
