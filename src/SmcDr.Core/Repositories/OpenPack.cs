using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>A pack that is being written.</summary>
internal sealed class OpenPack(Component component, string backupId, int number, ObjectWriter writer) : IAsyncDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public long Length => writer.Length;

    public string Key => RepositoryKeys.Pack(component, backupId, number);

    public int Number => number;

    /// <summary>Set once the pack is durable.</summary>
    public PackReference? Reference { get; private set; }

    public async ValueTask<long> AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        long offset = writer.Length;
        _hash.AppendData(bytes.Span);
        await writer.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        return offset;
    }

    public async Task CommitAsync(CancellationToken cancellationToken)
    {
        long length = writer.Length;
        await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
        Reference = new PackReference(component, backupId, number, length, Hash256.FromBytes(_hash.GetHashAndReset()));
    }

    public async ValueTask DisposeAsync()
    {
        _hash.Dispose();
        await writer.DisposeAsync().ConfigureAwait(false);
    }
}
