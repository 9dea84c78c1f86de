using System.Security.Cryptography;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Reads hash blocks of the parent, and keeps the latest ones. Safe for concurrent use.</summary>
internal sealed class PageHashCache(BackupReader reader, IOperationObserver observer)
{
    /// <summary>With the size that hash blocks have, 16 MiB: the hashes of 8 GiB.</summary>
    private const int MaximumBlocks = 64;

    private readonly Lock _lock = new();
    private readonly Dictionary<BlockReference, LinkedListNode<(BlockReference Block, Task<byte[]> Content)>> _blocks =
        new(ReferenceEqualityComparer.Instance);

    private readonly LinkedList<(BlockReference Block, Task<byte[]> Content)> _latest = [];

    private byte[] _hashOfZeros = [];
    private int _zeros;

    /// <summary>The hash of a page that is all zeros.</summary>
    public ReadOnlySpan<byte> HashOfZeros(int length)
    {
        lock (_lock)
        {
            if (_zeros != length)
            {
                _hashOfZeros = SHA256.HashData(new byte[length]);
                _zeros = length;
            }

            return _hashOfZeros.AsSpan(0, PageHashes.HashSize);
        }
    }

    /// <summary>The content of a hash block; empty where it cannot be read, and the pages must be taken for unknown.</summary>
    public Task<byte[]> ReadAsync(BlockReference block, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_blocks.TryGetValue(block, out var node))
            {
                _latest.Remove(node);
                _latest.AddFirst(node);
                return node.Value.Content;
            }

            if (_blocks.Count == MaximumBlocks)
            {
                _blocks.Remove(_latest.Last!.Value.Block);
                _latest.RemoveLast();
            }

            Task<byte[]> content = FetchAsync(block, cancellationToken);
            _blocks.Add(block, _latest.AddFirst((block, content)));
            return content;
        }
    }

    private async Task<byte[]> FetchAsync(BlockReference block, CancellationToken cancellationToken)
    {
        byte[] result = [];
        try
        {
            await reader.ReadBlocksAsync(
                [block],
                1,
                (_, content, _) =>
                {
                    result = content.ToArray();
                    return ValueTask.CompletedTask;
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
        {
            // Only how much is sent hangs on it. But who loses hashes has lost more.
            observer.Warning($"Hashes of pages cannot be read, so these pages are copied again: {e.Message}");
        }

        return result;
    }
}
