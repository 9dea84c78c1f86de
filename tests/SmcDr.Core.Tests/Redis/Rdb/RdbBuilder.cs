using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>
/// Writes RDB files by hand, and the structures in them, as rdb.c, ziplist.c, listpack.c, zipmap.c and intset.c describe them: for
/// what the server of these tests does not write any more, or not yet, and for what no server writes.
/// </summary>
internal sealed class RdbBuilder
{
    private readonly MemoryStream _file = new();

    public RdbBuilder(int version = 10) =>
        _file.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"REDIS{version:D4}")));

    public RdbBuilder Add(params byte[] bytes)
    {
        _file.Write(bytes);
        return this;
    }

    public RdbBuilder Key(RdbEncoding encoding, string key, byte[] payload) => Add([(byte)encoding, .. String(key), .. payload]);

    /// <summary>The file with its end and a right checksum.</summary>
    public byte[] Build() => Seal([.. _file.ToArray(), 255]);

    /// <summary>The file with its end and a checksum of zero.</summary>
    public byte[] BuildWithoutChecksum() => [.. _file.ToArray(), 255, .. new byte[8]];

    /// <summary>What was added, without an end.</summary>
    public byte[] BuildOpen() => _file.ToArray();

    /// <summary>Appends the checksum.</summary>
    public static byte[] Seal(byte[] body)
    {
        byte[] file = [.. body, .. new byte[8]];
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(body.Length), RedisCrc64.Append(0, body));
        return file;
    }

    public static byte[] Length(ulong length)
    {
        if (length < 64)
        {
            return [(byte)length];
        }

        if (length < 16384)
        {
            return [(byte)(0x40 | (length >> 8)), (byte)length];
        }

        byte[] bytes = new byte[length <= uint.MaxValue ? 5 : 9];
        if (bytes.Length == 5)
        {
            bytes[0] = 0x80;
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(1), (uint)length);
        }
        else
        {
            bytes[0] = 0x81;
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(1), length);
        }

        return bytes;
    }

    public static byte[] String(byte[] content) => [.. Length((ulong)content.Length), .. content];

    public static byte[] String(string content) => String(Encoding.Latin1.GetBytes(content));

    /// <summary>A string compressed as LZF of literal runs alone.</summary>
    public static byte[] Compressed(byte[] content)
    {
        using MemoryStream stream = new();
        foreach (byte[] run in content.Chunk(32))
        {
            stream.WriteByte((byte)(run.Length - 1));
            stream.Write(run);
        }

        return [0xC3, .. Length((ulong)stream.Length), .. Length((ulong)content.Length), .. stream.ToArray()];
    }

    public static byte[] Milliseconds(long value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes;
    }

    public static byte[] StreamId(long milliseconds, long sequence)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, milliseconds);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(8), sequence);
        return bytes;
    }

    /// <summary>A score as text, as RDB 1 to 7 have it.</summary>
    public static byte[] TextDouble(string text) => [(byte)text.Length, .. Encoding.ASCII.GetBytes(text)];

    /// <summary>A ziplist of strings and numbers.</summary>
    public static byte[] Ziplist(params object[] entries)
    {
        using MemoryStream body = new();
        int previous = 0;
        int tail = 10;
        foreach (object entry in entries)
        {
            byte[] content = ZiplistContent(entry);
            byte[] before = new byte[previous < 254 ? 1 : 5];
            before[0] = (byte)Math.Min(previous, 254);
            if (before.Length == 5)
            {
                BinaryPrimitives.WriteInt32LittleEndian(before.AsSpan(1), previous);
            }

            tail = 10 + (int)body.Length;
            body.Write(before);
            body.Write(content);
            previous = before.Length + content.Length;
        }

        byte[] header = new byte[10];
        BinaryPrimitives.WriteInt32LittleEndian(header, 11 + (int)body.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(4), tail);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), (ushort)Math.Min(entries.Length, ushort.MaxValue));
        return [.. header, .. body.ToArray(), 255];
    }

    /// <summary>A listpack of strings and numbers.</summary>
    public static byte[] Listpack(params object[] entries)
    {
        using MemoryStream body = new();
        foreach (object entry in entries)
        {
            byte[] content = ListpackContent(entry);
            body.Write(content);
            body.Write(BackLength(content.Length));
        }

        byte[] header = new byte[6];
        BinaryPrimitives.WriteInt32LittleEndian(header, 7 + (int)body.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), (ushort)Math.Min(entries.Length, ushort.MaxValue));
        return [.. header, .. body.ToArray(), 255];
    }

    /// <summary>The listpack of a node of a stream: entries of one millisecond, each with the fields given.</summary>
    public static byte[] StreamListpack(string[] fields, params string[][] entries)
    {
        List<object> elements = [(long)entries.Length, 0L, (long)fields.Length, .. fields, 0L];
        for (int i = 0; i < entries.Length; i++)
        {
            elements.AddRange([2L, 0L, (long)i, .. entries[i], (long)entries[i].Length + 3]);
        }

        return Listpack([.. elements]);
    }

    /// <summary>A zipmap, with unused room after every second value.</summary>
    public static byte[] Zipmap(params (string Field, string Value)[] fields)
    {
        using MemoryStream body = new();
        body.WriteByte((byte)Math.Min(fields.Length, 254));
        for (int i = 0; i < fields.Length; i++)
        {
            body.Write(ZipmapLength(fields[i].Field.Length));
            body.Write(Encoding.Latin1.GetBytes(fields[i].Field));
            body.Write(ZipmapLength(fields[i].Value.Length));
            int unused = i % 2 == 0 ? 0 : 3;
            body.WriteByte((byte)unused);
            body.Write(Encoding.Latin1.GetBytes(fields[i].Value));
            body.Write(new byte[unused]);
        }

        return [.. body.ToArray(), 255];
    }

    public static byte[] Intset(int width, params long[] numbers)
    {
        byte[] bytes = new byte[8 + (width * numbers.Length)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, width);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), numbers.Length);
        for (int i = 0; i < numbers.Length; i++)
        {
            Milliseconds(numbers[i]).AsSpan(0, width).CopyTo(bytes.AsSpan(8 + (i * width)));
        }

        return bytes;
    }

    private static byte[] ZipmapLength(int length) =>
        length < 254 ? [(byte)length] : [254, .. Milliseconds(length).AsSpan(0, 4)];

    private static byte[] ZiplistContent(object entry)
    {
        switch (entry)
        {
            case string text:
                byte[] bytes = Encoding.Latin1.GetBytes(text);
                if (bytes.Length < 64)
                {
                    return [(byte)bytes.Length, .. bytes];
                }

                byte[] length = new byte[4];
                BinaryPrimitives.WriteInt32BigEndian(length, bytes.Length);
                return bytes.Length < 16384
                    ? [(byte)(0x40 | (bytes.Length >> 8)), (byte)bytes.Length, .. bytes]
                    : [0x80, .. length, .. bytes];
            case long number:
                byte[] little = Milliseconds(number);
                return number switch
                {
                    >= 0 and <= 12 => [(byte)(0xF1 + number)],
                    >= sbyte.MinValue and <= sbyte.MaxValue => [0xFE, little[0]],
                    >= short.MinValue and <= short.MaxValue => [0xC0, .. little.AsSpan(0, 2)],
                    >= -(1 << 23) and < (1 << 23) => [0xF0, .. little.AsSpan(0, 3)],
                    >= int.MinValue and <= int.MaxValue => [0xD0, .. little.AsSpan(0, 4)],
                    _ => [0xE0, .. little],
                };
            default:
                return ZiplistContent(Convert.ToInt64(entry, CultureInfo.InvariantCulture));
        }
    }

    private static byte[] ListpackContent(object entry)
    {
        switch (entry)
        {
            case string text:
                byte[] bytes = Encoding.Latin1.GetBytes(text);
                return bytes.Length switch
                {
                    < 64 => [(byte)(0x80 | bytes.Length), .. bytes],
                    < 4096 => [(byte)(0xE0 | (bytes.Length >> 8)), (byte)bytes.Length, .. bytes],
                    _ => [0xF0, .. Milliseconds(bytes.Length).AsSpan(0, 4), .. bytes],
                };
            case long number:
                byte[] little = Milliseconds(number);
                return number switch
                {
                    >= 0 and <= 127 => [(byte)number],
                    >= -4096 and <= 4095 => [(byte)(0xC0 | ((number >> 8) & 0x1F)), little[0]],
                    >= short.MinValue and <= short.MaxValue => [0xF1, .. little.AsSpan(0, 2)],
                    >= -(1 << 23) and < (1 << 23) => [0xF2, .. little.AsSpan(0, 3)],
                    >= int.MinValue and <= int.MaxValue => [0xF3, .. little.AsSpan(0, 4)],
                    _ => [0xF4, .. little],
                };
            default:
                return ListpackContent(Convert.ToInt64(entry, CultureInfo.InvariantCulture));
        }
    }

    private static byte[] BackLength(int length)
    {
        List<byte> bytes = [(byte)(length & 127)];
        int limit = 127;
        for (int rest = length; rest > limit || bytes.Count == 0;)
        {
            length >>= 7;
            bytes[^1] |= 128;
            bytes.Add((byte)(length & 127));
            rest = length;
        }

        bytes.Reverse();
        return [.. bytes];
    }
}
