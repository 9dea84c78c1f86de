namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>A beginning, a long middle of one byte, and an end, none of it in memory.</summary>
internal sealed class RepeatStream(byte[] beginning, long middle, byte[] end) : Stream
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => beginning.Length + middle + end.Length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int count;
        if (_position < beginning.Length)
        {
            count = Math.Min(buffer.Length, beginning.Length - (int)_position);
            beginning.AsSpan((int)_position, count).CopyTo(buffer);
        }
        else if (_position < beginning.Length + middle)
        {
            count = (int)Math.Min(buffer.Length, beginning.Length + middle - _position);
            buffer[..count].Fill((byte)'x');
        }
        else
        {
            int at = (int)(_position - beginning.Length - middle);
            count = Math.Min(buffer.Length, end.Length - at);
            end.AsSpan(at, count).CopyTo(buffer);
        }

        _position += count;
        return count;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Read(buffer.Span));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
