using System.Buffers;
using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Encryption;

/// <summary>A range of the content of an encrypted object. Not a byte leaves it whose frame is not authentic.</summary>
internal sealed class EncryptedReadStream : ObjectReadStream
{
    private const int FramesAtOnce = 16;

    private readonly EncryptedObjectStore _store;
    private readonly string _key;
    private readonly ObjectHeader _header;
    private readonly ObjectCipher _cipher;
    private readonly Stream _inner;
    private readonly long _contentLength;
    private readonly long _count;
    private readonly bool _toEnd;
    private readonly long _end;

    private byte[]? _stored;
    private byte[]? _content = ArrayPool<byte>.Shared.Rent(FrameLayout.FrameLength);
    private long _innerPosition;
    private long _position;
    private long _number;
    private int _storedStart;
    private int _storedEnd;
    private int _contentStart;
    private int _contentEnd;

    /// <summary>Creates the stream.</summary>
    /// <param name="store">The view.</param>
    /// <param name="key">The object.</param>
    /// <param name="header">Its header, proven.</param>
    /// <param name="part">A part of the object that begins with a frame, as far as it has been read.</param>
    /// <param name="innerPosition">Where in the object that part begins now.</param>
    /// <param name="offset">The first byte of the content that is wanted.</param>
    /// <param name="end">Behind the last byte that is wanted.</param>
    /// <param name="toEnd">Whether the object's end is to be proven as well.</param>
    public EncryptedReadStream(
        EncryptedObjectStore store, string key, ObjectHeader header, ObjectRange part, long innerPosition, long offset, long end, bool toEnd)
    {
        _store = store;
        _key = key;
        _header = header;
        _cipher = header.CreateCipher(key);
        _inner = part.Content;
        _innerPosition = innerPosition;
        _contentLength = FrameLayout.ContentLengthOf(key, part.ObjectLength);
        _count = FrameLayout.CountOf(_contentLength);
        _toEnd = toEnd;
        _end = end;
        _position = offset;
        _number = (innerPosition - ObjectHeader.LengthOf(key)) / FrameLayout.StoredFrameLength;
        long wanted = ((toEnd ? _count : FrameLayout.CountOf(end)) - _number) * FrameLayout.StoredFrameLength;
        _stored = ArrayPool<byte>.Shared.Rent(
            (int)Math.Clamp(wanted, FrameLayout.StoredFrameLength, FramesAtOnce * FrameLayout.StoredFrameLength));
    }

    /// <summary>Drops the frames before the range, which came with the header.</summary>
    public async Task SkipAsync(CancellationToken cancellationToken)
    {
        try
        {
            long first = Math.Min(_position / FrameLayout.FrameLength, _count - 1);
            while (_number < first)
            {
                // They are not handed out, so they need not be proven.
                await FillAsync(cancellationToken).ConfigureAwait(false);
                _storedStart += FrameLayout.StoredFrameLength;
                _number++;
            }
        }
        catch
        {
            await DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_content is null, this);
        int read = 0;
        while (true)
        {
            int ready = (int)Math.Min(_contentEnd - _contentStart, Math.Min(buffer.Length, _end - _position));
            if (ready > 0)
            {
                _content.AsSpan(_contentStart, ready).CopyTo(buffer.Span);
                _contentStart += ready;
                _position += ready;
                buffer = buffer[ready..];
                read += ready;
            }

            bool isOver = _position >= _end && !(_toEnd && _number < _count);
            if (isOver || (buffer.IsEmpty && _position < _end) || (read > 0 && _storedStart == _storedEnd && _position < _end))
            {
                // At most what one request has brought: who reads a little at a time should not wait for more.
                return read;
            }

            if (_storedStart == _storedEnd)
            {
                await FillAsync(cancellationToken).ConfigureAwait(false);
            }

            int length = LengthOf(_number);
            ReadOnlyMemory<byte> frame = _stored.AsMemory(_storedStart, length + FrameLayout.TagLength);
            long frameStart = _number * FrameLayout.FrameLength;
            bool isDirect = _position == frameStart && length > 0 && length <= buffer.Length && frameStart + length <= _end;
            Memory<byte> target = isDirect ? buffer[..length] : _content.AsMemory(0, length);
            if (!_cipher.TryOpen(_number, _number == _count - 1, frame.Span, target.Span))
            {
                throw await _store.DiagnoseAsync(_key, _header, _number, _count, frame, cancellationToken).ConfigureAwait(false);
            }

            _storedStart += frame.Length;
            _number++;
            if (isDirect)
            {
                buffer = buffer[length..];
                read += length;
                _position += length;
            }
            else
            {
                _contentStart = (int)Math.Min(_position - frameStart, length);
                _contentEnd = length;
            }
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _inner.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && _content is { } content)
        {
            CryptographicOperations.ZeroMemory(content);
            ArrayPool<byte>.Shared.Return(content);
            ArrayPool<byte>.Shared.Return(_stored!);
            _content = null;
            _stored = null;
            _cipher.Dispose();
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }

    private int LengthOf(long number) =>
        (int)Math.Min(FrameLayout.FrameLength, _contentLength - (number * FrameLayout.FrameLength));

    /// <summary>Reads some whole frames.</summary>
    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        if (_storedStart < _storedEnd)
        {
            return;
        }

        long frames = Math.Min(_stored!.Length / FrameLayout.StoredFrameLength, (_toEnd ? _count : FrameLayout.CountOf(_end)) - _number);
        int wanted = (int)(((frames - 1) * FrameLayout.StoredFrameLength) + LengthOf(_number + frames - 1) + FrameLayout.TagLength);
        _storedStart = 0;
        _storedEnd = 0;
        int read = await _inner.ReadAtLeastAsync(_stored.AsMemory(0, wanted), wanted, throwOnEndOfStream: false, cancellationToken)
            .ConfigureAwait(false);
        if (read < wanted)
        {
            throw Truncated(_key, _store.Location, _innerPosition + read, _innerPosition + wanted);
        }

        _innerPosition += wanted;
        _storedEnd = wanted;
    }
}
