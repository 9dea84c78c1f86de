namespace SmcDr.Core.Redis;

/// <summary>
/// The RDB that a master sends, from its first byte to its last, in either form: so many bytes, or bytes up to a mark of forty (a server that
/// does not write a file does not know how many there will be). Ends only where the RDB does: a connection that ends before is an error.
/// </summary>
internal sealed class RdbPayload : Stream
{
    /// <summary>As long as a run id (redis, CONFIG_RUN_ID_SIZE).</summary>
    public const int MarkLength = 40;

    private const int WindowSize = 256 << 10;

    private readonly Func<Memory<byte>, CancellationToken, ValueTask<int>> _read;
    private readonly Func<Exception?, SmcException> _interrupted;
    private readonly byte[]? _mark;
    private readonly byte[] _window = [];
    private readonly byte[] _held = new byte[MarkLength - 1];
    private int _heldLength;
    private int _start;
    private int _deliverable;
    private bool _markFound;
    private long _remaining;

    /// <summary>A payload of known length.</summary>
    /// <param name="length">The length.</param>
    /// <param name="read">Reads what comes next; 0 = the connection is closed.</param>
    /// <param name="interrupted">The error where it ends too early.</param>
    public RdbPayload(
        long length, Func<Memory<byte>, CancellationToken, ValueTask<int>> read, Func<Exception?, SmcException> interrupted)
    {
        (_remaining, _read, _interrupted) = (length, read, interrupted);
    }

    /// <summary>A payload that ends with a mark.</summary>
    /// <param name="mark">The mark.</param>
    /// <param name="read">Reads what comes next; 0 = the connection is closed.</param>
    /// <param name="interrupted">The error where it ends too early.</param>
    public RdbPayload(
        byte[] mark, Func<Memory<byte>, CancellationToken, ValueTask<int>> read, Func<Exception?, SmcException> interrupted)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(mark.Length, MarkLength);
        (_mark, _read, _interrupted, _window) = (mark, read, interrupted, new byte[WindowSize]);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        try
        {
            return _mark is null
                ? await ReadCountedAsync(buffer, cancellationToken).ConfigureAwait(false)
                : await ReadMarkedAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut)
        {
            throw _interrupted(e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private async ValueTask<int> ReadCountedAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_remaining == 0)
        {
            return 0;
        }

        int read = await _read(buffer[..(int)Math.Min(buffer.Length, _remaining)], cancellationToken).ConfigureAwait(false);
        _remaining -= read > 0 ? read : throw _interrupted(null);
        return read;
    }

    private async ValueTask<int> ReadMarkedAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_deliverable == 0 && !_markFound)
        {
            if (buffer.Length >= _window.Length)
            {
                return await FillAsync(buffer, cancellationToken).ConfigureAwait(false);
            }

            _start = 0;
            _deliverable = await FillAsync(_window, cancellationToken).ConfigureAwait(false);
        }

        int length = Math.Min(buffer.Length, _deliverable);
        _window.AsMemory(_start, length).CopyTo(buffer);
        _start += length;
        _deliverable -= length;
        return length;
    }

    /// <summary>Reads into room for much, and returns how many bytes there can be handed out; 0 at the mark.</summary>
    private async ValueTask<int> FillAsync(Memory<byte> room, CancellationToken cancellationToken)
    {
        _held.AsSpan(0, _heldLength).CopyTo(room.Span);
        int length = _heldLength;
        while (true)
        {
            int read = await _read(room[length..], cancellationToken).ConfigureAwait(false);
            length += read > 0 ? read : throw _interrupted(null);
            int at = room.Span[..length].IndexOf(_mark);
            if (at >= 0)
            {
                _markFound = true;
                return at;
            }

            // What is left may be the beginning of the mark.
            _heldLength = Math.Min(length, _held.Length);
            room.Span[(length - _heldLength)..length].CopyTo(_held);
            if (length > _heldLength)
            {
                return length - _heldLength;
            }
        }
    }
}
