using System.Buffers;
using System.Runtime.ExceptionServices;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <summary>
/// An object on its way to S3: one PutObject where it is small, else a multipart upload with some parts under way at once. Memory stays
/// below (parts under way + 1) times the size of a part.
/// </summary>
internal sealed class S3ObjectWriter(S3ObjectStore store, string key) : ObjectWriter
{
    private readonly string _tag = S3ObjectStore.NewTag();
    private readonly List<Task<PartETag>> _parts = [];
    private readonly SemaphoreSlim _slots = new(store.Options.Parallelism, store.Options.Parallelism);
    private readonly CancellationTokenSource _giveUp = new();
    private byte[]? _buffer;
    private long _bufferSize;
    private int _filled;
    private string? _uploadId;
    private ExceptionDispatchInfo? _failure;
    private bool _committed;
    private bool _disposed;

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        ThrowIfOver();
        while (!bytes.IsEmpty)
        {
            // A full buffer waits for the next byte: an object of exactly one part is stored by one PutObject.
            if (_buffer is not null && _filled == _bufferSize)
            {
                await SendPartAsync(cancellationToken).ConfigureAwait(false);
            }

            if (_buffer is null)
            {
                _bufferSize = S3PartSize.Of(_parts.Count + 1, store.S3.EqualParts, key, store.Location);
                _buffer = ArrayPool<byte>.Shared.Rent((int)_bufferSize);
            }

            int count = (int)Math.Min(bytes.Length, _bufferSize - _filled);
            bytes.Span[..count].CopyTo(_buffer.AsSpan(_filled));
            bytes = bytes[count..];
            _filled += count;
            Length += count;
        }
    }

    /// <inheritdoc/>
    public override async Task CommitAsync(CancellationToken cancellationToken)
    {
        ThrowIfOver();
        if (_uploadId is null)
        {
            await store.PutAsync(key, _tag, _buffer.AsMemory(0, _filled), cancellationToken).ConfigureAwait(false);
        }
        else
        {
            if (_filled > 0)
            {
                await SendPartAsync(cancellationToken).ConfigureAwait(false);
            }

            PartETag[] parts;
            try
            {
                parts = await Task.WhenAll(_parts).WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_failure is not null)
            {
                // One part failed and made the others stop.
                _failure.Throw();
                throw;
            }

            await store.CompleteUploadAsync(key, _tag, _uploadId, parts, Length, cancellationToken).ConfigureAwait(false);
        }

        _committed = true;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _giveUp.CancelAsync().ConfigureAwait(false);
        foreach (Task part in _parts)
        {
            // Whoever wrote has been told by WriteAsync or CommitAsync; here only the end of the requests matters.
            await part.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (_uploadId is not null && !_committed)
        {
            await store.AbortUploadAsync(key, _uploadId).ConfigureAwait(false);
        }

        ReturnBuffer();
        _slots.Dispose();
        _giveUp.Dispose();
    }

    private void ThrowIfOver()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_committed)
        {
            throw new InvalidOperationException("The object is committed.");
        }

        _failure?.Throw();
    }

    private async Task SendPartAsync(CancellationToken cancellationToken)
    {
        _uploadId ??= await store.BeginUploadAsync(key, _tag, cancellationToken).ConfigureAwait(false);

        // Large parts take several slots, so that memory stays bounded as parts grow. There is one producer, so taking them one by one
        // cannot lock up.
        int slots = S3PartSize.SlotsOf(_bufferSize, store.Options.Parallelism);
        for (int taken = 0; taken < slots; taken++)
        {
            try
            {
                await _slots.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                if (taken > 0)
                {
                    _slots.Release(taken);
                }

                throw;
            }
        }

        _failure?.Throw();
        byte[] buffer = _buffer!;
        int count = _filled;
        _buffer = null;
        _filled = 0;
        _parts.Add(UploadAsync(_parts.Count + 1, buffer, count, slots));
    }

    private async Task<PartETag> UploadAsync(int number, byte[] buffer, int count, int slots)
    {
        try
        {
            return await store
                .UploadPartAsync(key, _uploadId!, number, new MemoryStream(buffer, 0, count, writable: false), _giveUp.Token)
                .ConfigureAwait(false);
        }
        catch (SmcException exception)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            await _giveUp.CancelAsync().ConfigureAwait(false);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            _slots.Release(slots);
        }
    }

    private void ReturnBuffer()
    {
        if (_buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = null;
        }
    }
}
