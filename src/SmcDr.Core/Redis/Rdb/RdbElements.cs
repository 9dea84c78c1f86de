using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// Takes a value that is in memory apart into its elements, whatever its encoding: a string or number is one; of a hash fields and values come in
/// turn; of a sorted set members, and scores as eight bytes. Not for streams, modules and hashes whose fields expire.
/// </summary>
internal sealed class RdbElements
{
    private readonly RdbText _text = new();
    private readonly byte[] _number = new byte[24];
    private readonly Action<ReadOnlyMemory<byte>> _onElement;
    private byte[] _element = new byte[256];
    private bool _scoresAsText;
    private bool _isScore;

    /// <summary>Creates it.</summary>
    /// <param name="onElement">Takes an element, valid during the call.</param>
    public RdbElements(Action<ReadOnlyMemory<byte>> onElement)
    {
        _onElement = onElement;
    }

    /// <summary>Whether values of an encoding can be taken apart.</summary>
    public static bool Knows(RdbEncoding encoding) => encoding is RdbEncoding.HashZipmap
        ? false
        : RdbShapes.Of((byte)encoding) is not null && RdbShapes.TypeOf(encoding) is not (RdbValueType.Stream or RdbValueType.Module) &&
            encoding is not (RdbEncoding.HashMetadataPreGa or RdbEncoding.HashListpackExpiringPreGa or
                RdbEncoding.HashMetadata or RdbEncoding.HashListpackExpiring);

    /// <summary>Gives all elements; false where the value is damaged or of an encoding that is not known.</summary>
    public bool TryRead(RdbEncoding encoding, ReadOnlySpan<byte> payload)
    {
        if (!Knows(encoding))
        {
            return false;
        }

        _scoresAsText = encoding is RdbEncoding.SortedSetListpack or RdbEncoding.SortedSetZiplist;
        _isScore = false;
        return TryParts(RdbShapes.Of((byte)encoding)!, ref payload) && payload.IsEmpty;
    }

    private bool TryParts(RdbInstruction[] parts, ref ReadOnlySpan<byte> rest)
    {
        foreach (ref readonly RdbInstruction part in parts.AsSpan())
        {
            bool isRead = part.Kind switch
            {
                RdbPart.String => TryString(ref rest),
                RdbPart.Double => TryDouble(ref rest),
                RdbPart.TextDouble => TryTextDouble(ref rest),
                RdbPart.Repeat => TryRepeat(part.Body!, ref rest),
                RdbPart.Packed => TryPacked(part.Format, ref rest),
                RdbPart.ListNode => TryListNode(ref rest),
                _ => false,
            };
            if (!isRead)
            {
                return false;
            }
        }

        return true;
    }

    private bool TryRepeat(RdbInstruction[] body, ref ReadOnlySpan<byte> rest)
    {
        if (!TryNumber(ref rest, out ulong count))
        {
            return false;
        }

        // Every repetition takes a byte at least, so a monstrous number ends with the value.
        for (ulong i = 0; i < count; i++)
        {
            if (rest.IsEmpty || !TryParts(body, ref rest))
            {
                return false;
            }
        }

        return true;
    }

    private bool TryListNode(ref ReadOnlySpan<byte> rest)
    {
        const ulong Plain = 1;
        const ulong Listpack = 2;
        return TryNumber(ref rest, out ulong container) && container switch
        {
            Plain => TryString(ref rest),
            Listpack => TryPacked(PackedFormat.Listpack, ref rest),
            _ => false,
        };
    }

    private bool TryString(ref ReadOnlySpan<byte> rest)
    {
        if (!TryText(ref rest))
        {
            return false;
        }

        _onElement(_text.Memory);
        return true;
    }

    private bool TryPacked(PackedFormat format, ref ReadOnlySpan<byte> rest)
    {
        if (!TryText(ref rest))
        {
            return false;
        }

        ReadOnlySpan<byte> bytes = _text.Span;
        switch (format)
        {
            case PackedFormat.Listpack:
                ListpackWalker listpack = new(bytes);
                while (listpack.MoveNext())
                {
                    if (!TryGive(listpack.IsNumber, listpack.Number, listpack.Text))
                    {
                        return false;
                    }
                }

                return listpack.Fault is null;
            case PackedFormat.Ziplist:
                ZiplistWalker ziplist = new(bytes);
                while (ziplist.MoveNext())
                {
                    if (!TryGive(ziplist.IsNumber, ziplist.Number, ziplist.Text))
                    {
                        return false;
                    }
                }

                return ziplist.Fault is null;
            case PackedFormat.Intset:
                return TryIntset(bytes);
            default:
                return false;
        }
    }

    private bool TryIntset(ReadOnlySpan<byte> bytes)
    {
        if (Packed.Check(PackedFormat.Intset, bytes, out long count) is not null)
        {
            return false;
        }

        int width = (bytes.Length - 8) / (int)count;
        for (bytes = bytes[8..]; !bytes.IsEmpty; bytes = bytes[width..])
        {
            Give(width switch
            {
                2 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
                4 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
                _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
            });
        }

        return true;
    }

    private bool TryGive(bool isNumber, long number, ReadOnlySpan<byte> text)
    {
        bool isScore = _scoresAsText && _isScore;
        _isScore = !_isScore;
        if (isScore)
        {
            double score = number;
            return (isNumber || TryParseScore(text, out score)) && GiveScore(score);
        }

        if (isNumber)
        {
            Give(number);
            return true;
        }

        if (_element.Length < text.Length)
        {
            _element = new byte[Math.Max(text.Length, 2 * _element.Length)];
        }

        text.CopyTo(_element);
        _onElement(_element.AsMemory(0, text.Length));
        return true;
    }

    private void Give(long number)
    {
        Utf8Formatter.TryFormat(number, _number, out int length);
        _onElement(_number.AsMemory(0, length));
    }

    private bool GiveScore(double score)
    {
        BinaryPrimitives.WriteDoubleLittleEndian(_number, score);
        _onElement(_number.AsMemory(0, sizeof(double)));
        return true;
    }

    private bool TryDouble(ref ReadOnlySpan<byte> rest)
    {
        if (rest.Length < sizeof(double))
        {
            return false;
        }

        double score = BinaryPrimitives.ReadDoubleLittleEndian(rest);
        rest = rest[sizeof(double)..];
        return GiveScore(score);
    }

    private bool TryTextDouble(ref ReadOnlySpan<byte> rest)
    {
        const byte Nan = 253;
        const byte Infinity = 254;
        const byte MinusInfinity = 255;
        if (rest.IsEmpty)
        {
            return false;
        }

        byte length = rest[0];
        rest = rest[1..];
        switch (length)
        {
            case Nan:
                return false;
            case Infinity:
                return GiveScore(double.PositiveInfinity);
            case MinusInfinity:
                return GiveScore(double.NegativeInfinity);
            default:
                if (rest.Length < length || !TryParseScore(rest[..length], out double score))
                {
                    return false;
                }

                rest = rest[length..];
                return GiveScore(score);
        }
    }

    // As printf writes it: inf, -inf, 1e+30.
    private static bool TryParseScore(ReadOnlySpan<byte> text, out double score)
    {
        score = text.SequenceEqual("inf"u8) ? double.PositiveInfinity : text.SequenceEqual("-inf"u8) ? double.NegativeInfinity : 0;
        return score != 0 || double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out score);
    }

    private static bool TryNumber(ref ReadOnlySpan<byte> rest, out ulong number)
    {
        int size = RdbLength.Read(rest, out number, out bool isSpecial);
        if (size <= 0 || isSpecial)
        {
            return false;
        }

        rest = rest[size..];
        return true;
    }

    private bool TryText(ref ReadOnlySpan<byte> rest)
    {
        // What LZF can make of so many bytes is the most that there can be.
        int size = _text.Read(rest, (int)Math.Min(Array.MaxLength, (long)rest.Length * Lzf.MaximumRatio), out string? _);
        if (size <= 0)
        {
            return false;
        }

        rest = rest[size..];
        return true;
    }
}
