namespace SmcDr.Core.Redis.Rdb;

/// <summary>A window over the file that is moved forward, and the checksum over what it has left behind.</summary>
internal sealed class RdbInput(Stream stream, string name, bool isSummed = true)
{
    private const int FirstLength = 256 * 1024;
    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(FirstLength);
    private long _base;
    private int _position;
    private int _end;
    private int _kept = -1;
    private int _summedTo;
    private ulong _checksum;

    /// <summary>What has been read and not passed.</summary>
    public ReadOnlySpan<byte> Available => _buffer.AsSpan(_position, _end - _position);

    /// <summary>The same, for whoever keeps it until the next read.</summary>
    public ReadOnlyMemory<byte> AvailableMemory => _buffer.AsMemory(_position, _end - _position);

    /// <summary>Where in the file <see cref="Available"/> begins.</summary>
    public long Offset => _base + _position;

    /// <summary>What has been passed since <see cref="Keep"/>.</summary>
    public ReadOnlyMemory<byte> Kept => _kept < 0 ? default : _buffer.AsMemory(_kept, _position - _kept);

    /// <summary>Passes bytes.</summary>
    public void Advance(int count) => _position += count;

    /// <summary>From here on what is passed stays, until <see cref="Release"/>.</summary>
    public void Keep() => _kept = _position;

    /// <summary>Nothing need stay.</summary>
    public void Release() => _kept = -1;

    /// <summary>The checksum over all that has been passed; 0 where none is wanted.</summary>
    public ulong GetChecksum()
    {
        if (isSummed)
        {
            _checksum = RedisCrc64.Append(_checksum, _buffer.AsSpan(_summedTo, _position - _summedTo));
        }

        _summedTo = _position;
        return _checksum;
    }

    /// <summary>Reads until so many bytes are available. Room is made as they arrive, never because a file says that they will.</summary>
    /// <exception cref="SmcException">The file ends before.</exception>
    public async ValueTask FillAsync(int count, CancellationToken cancellationToken)
    {
        MakeRoom();
        while (_end - _position < count)
        {
            if (_end == _buffer.Length)
            {
                Grow();
            }

            int read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                throw new SmcException(
                    SmcErrorCode.RdbInvalid,
                    string.Create(System.Globalization.CultureInfo.InvariantCulture,
                        $"{name} ends at byte {_base + _end}, before it is complete."),
                    target: name);
            }

            _end += read;
        }
    }

    private void MakeRoom()
    {
        GetChecksum();
        int from = _kept < 0 ? _position : _kept;
        // Moving is worth it when little stays behind or no room is left.
        if (from > 0 && (_end - from <= _buffer.Length / 4 || _end == _buffer.Length))
        {
            _buffer.AsSpan(from, _end - from).CopyTo(_buffer);
            Shift(from);
        }
    }

    private void Grow()
    {
        int from = _kept < 0 ? _position : _kept;
        byte[] larger = GC.AllocateUninitializedArray<byte>((int)Math.Min(Array.MaxLength, 2L * _buffer.Length));
        _buffer.AsSpan(from, _end - from).CopyTo(larger);
        _buffer = larger;
        Shift(from);
    }

    private void Shift(int from)
    {
        _base += from;
        _position -= from;
        _end -= from;
        _summedTo -= from;
        _kept = _kept < 0 ? -1 : _kept - from;
    }
}
