using System.Buffers;
using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Encryption;

/// <summary>Encrypts an object frame by frame on its way into a store. Memory stays at a few frames, however long the object.</summary>
internal sealed class EncryptedObjectWriter : ObjectWriter
{
    private const int FramesAtOnce = 8;

    private readonly ObjectWriter _inner;
    private readonly ObjectHeader _header;
    private readonly ObjectCipher _cipher;

    // The last frame is sealed as such, so a full one waits for the byte that comes after it.
    private byte[]? _content = ArrayPool<byte>.Shared.Rent(FrameLayout.FrameLength);
    private byte[]? _stored = ArrayPool<byte>.Shared.Rent(FramesAtOnce * FrameLayout.StoredFrameLength);
    private int _contentLength;
    private int _storedLength;
    private long _number;
    private bool _headerWritten;
    private bool _busy;
    private bool _committed;

    public EncryptedObjectWriter(ObjectWriter inner, ObjectHeader header, string key)
    {
        _inner = inner;
        _header = header;
        _cipher = header.CreateCipher(key);
    }

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        Begin();
        await WriteHeaderAsync(cancellationToken).ConfigureAwait(false);
        while (!bytes.IsEmpty)
        {
            if (_contentLength == FrameLayout.FrameLength)
            {
                Seal(_content.AsSpan(0, _contentLength), isLast: false);
                _contentLength = 0;
            }
            else if (_contentLength == 0 && bytes.Length > FrameLayout.FrameLength)
            {
                Seal(bytes.Span[..FrameLayout.FrameLength], isLast: false);
                bytes = bytes[FrameLayout.FrameLength..];
                Length += FrameLayout.FrameLength;
            }
            else
            {
                int count = Math.Min(bytes.Length, FrameLayout.FrameLength - _contentLength);
                bytes.Span[..count].CopyTo(_content.AsSpan(_contentLength));
                bytes = bytes[count..];
                _contentLength += count;
                Length += count;
            }

            if (_storedLength + FrameLayout.StoredFrameLength > FramesAtOnce * FrameLayout.StoredFrameLength)
            {
                await SendAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        _busy = false;
    }

    /// <inheritdoc/>
    public override async Task CommitAsync(CancellationToken cancellationToken)
    {
        Begin();
        await WriteHeaderAsync(cancellationToken).ConfigureAwait(false);
        Seal(_content.AsSpan(0, _contentLength), isLast: true);
        await SendAsync(cancellationToken).ConfigureAwait(false);
        await _inner.CommitAsync(cancellationToken).ConfigureAwait(false);
        _committed = true;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (_content is { } content)
        {
            CryptographicOperations.ZeroMemory(content);
            ArrayPool<byte>.Shared.Return(content);
            ArrayPool<byte>.Shared.Return(_stored!);
            _content = null;
            _stored = null;
            _cipher.Dispose();
        }

        await _inner.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>A write that did not come to its end leaves an object with a hole, which nothing may be appended to.</summary>
    private void Begin()
    {
        ObjectDisposedException.ThrowIf(_content is null, this);
        if (_committed || _busy)
        {
            throw new InvalidOperationException("The object is committed, or an earlier write of it failed.");
        }

        _busy = true;
    }

    private async ValueTask WriteHeaderAsync(CancellationToken cancellationToken)
    {
        if (!_headerWritten)
        {
            await _inner.WriteAsync(_header.Bytes, cancellationToken).ConfigureAwait(false);
            _headerWritten = true;
        }
    }

    private void Seal(ReadOnlySpan<byte> content, bool isLast) =>
        _storedLength += _cipher.Seal(_number++, isLast, content, _stored.AsSpan(_storedLength));

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        await _inner.WriteAsync(_stored.AsMemory(0, _storedLength), cancellationToken).ConfigureAwait(false);
        _storedLength = 0;
    }
}
