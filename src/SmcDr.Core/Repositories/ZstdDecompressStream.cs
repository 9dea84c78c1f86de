namespace SmcDr.Core.Repositories;

/// <summary>Decompresses Zstandard frames one behind the other, as <c>zstd -d</c> does.</summary>
internal sealed class ZstdDecompressStream : Stream
{
    private readonly Stream _source;
    private readonly byte[] _input = new byte[128 << 10];
    private nint _context;
    private int _available;
    private int _position;
    private bool _insideFrame;

    public ZstdDecompressStream(Stream source)
    {
        Zstd.ThrowIfUnavailable();
        _source = source;
        _context = Zstd.ZSTD_createDCtx();
    }

    ~ZstdDecompressStream() => Dispose(false);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override unsafe int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        while (true)
        {
            if (_position == _available)
            {
                _available = _source.Read(_input);
                _position = 0;
                if (_available == 0)
                {
                    return _insideFrame ? throw new InvalidDataException("A Zstandard frame ends too early.") : 0;
                }
            }

            fixed (byte* to = buffer, from = _input)
            {
                Zstd.ZstdBuffer output = new() { Start = to, Size = (nuint)buffer.Length };
                Zstd.ZstdBuffer input = new() { Start = from, Size = (nuint)_available, Position = (nuint)_position };
                nuint result = Zstd.ZSTD_decompressStream(_context, &output, &input);
                if (Zstd.ZSTD_isError(result) != 0)
                {
                    throw new InvalidDataException("A Zstandard frame is damaged.");
                }

                _insideFrame = result != 0;
                _position = (int)input.Position;
                if (output.Position > 0)
                {
                    return (int)output.Position;
                }
            }
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        nint context = Interlocked.Exchange(ref _context, 0);
        if (context != 0)
        {
            _ = Zstd.ZSTD_freeDCtx(context);
        }

        if (disposing)
        {
            _source.Dispose();
        }

        base.Dispose(disposing);
    }
}
