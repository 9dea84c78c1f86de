using System.Buffers;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A pooled buffer of one worker, used again for every batch.</summary>
internal sealed class GrowingBuffer(int capacity) : IDisposable
{
    private byte[] _array = ArrayPool<byte>.Shared.Rent(capacity);

    public int Length { get; private set; }

    public Memory<byte> this[Range range] => _array.AsMemory(range);

    /// <summary>The first bytes, whatever they hold.</summary>
    public Memory<byte> First(int length) => _array.AsMemory(0, length);

    public void Clear() => Length = 0;

    /// <summary>Room behind the end, which may be moved for it; what lies in it belongs to the buffer once <see cref="Advance"/> says so.</summary>
    public Span<byte> Reserve(int length)
    {
        while (_array.Length - Length < length)
        {
            Enlarge();
        }

        return _array.AsSpan(Length, length);
    }

    public void Advance(int length) => Length += length;

    public async ValueTask AppendAsync(Stream stream, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (Length == _array.Length)
            {
                Enlarge();
            }

            int read = await stream.ReadAsync(_array.AsMemory(Length), cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                return;
            }

            Length += read;
        }
    }

    private void Enlarge()
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(_array.Length * 2);
        _array.AsSpan(0, Length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_array);
        _array = larger;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_array);
        _array = [];
    }
}
