using System.Globalization;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>A string of the file as its bytes, in room that is used again.</summary>
internal sealed class RdbText
{
    private byte[] _buffer = new byte[256];
    private int _length;

    public ReadOnlySpan<byte> Span => _buffer.AsSpan(0, _length);

    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(0, _length);

    /// <summary>
    /// Reads a whole string. Returns how many bytes it takes in the file; or, negative, how many must be available for it; or 0 with
    /// the fault.
    /// </summary>
    public int Read(ReadOnlySpan<byte> source, int maximumLength, out string? fault)
    {
        int size = RdbStringHeader.Read(source, out RdbStringHeader header, out fault);
        if (size <= 0)
        {
            return size;
        }

        if (header.StoredLength > (ulong)maximumLength || header.Length > (ulong)maximumLength)
        {
            fault = string.Create(CultureInfo.InvariantCulture,
                $"a key, field or library is {Math.Max(header.Length, header.StoredLength)} bytes long, which is more than Redis takes");
            return 0;
        }

        int stored = (int)header.StoredLength;
        if (source.Length - size < stored)
        {
            return -(size + stored);
        }

        ReadOnlySpan<byte> content = source.Slice(size, stored);
        if (header.IsNumber)
        {
            RdbStringHeader.ReadNumber(content).TryFormat(_buffer, out _length, default, CultureInfo.InvariantCulture);
        }
        else if (header.IsCompressed)
        {
            MakeRoom((int)header.Length);
            if (!Lzf.TryDecompress(content, _buffer.AsSpan(0, _length)))
            {
                fault = "a compressed string cannot be decompressed";
                return 0;
            }
        }
        else
        {
            MakeRoom(stored);
            content.CopyTo(_buffer);
        }

        return size + stored;
    }

    private void MakeRoom(int length)
    {
        if (_buffer.Length < length)
        {
            _buffer = GC.AllocateUninitializedArray<byte>(length);
        }

        _length = length;
    }
}
