using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>Looks into packed structures: each must be what it says, to its last byte.</summary>
internal static class Packed
{
    /// <summary>
    /// Walks a structure and counts its elements, for a zipmap its fields, for a stream's node its entries that are not deleted.
    /// Returns null if it is sound, else what is wrong.
    /// </summary>
    public static string? Check(PackedFormat format, ReadOnlySpan<byte> bytes, out long count)
    {
        switch (format)
        {
            case PackedFormat.Ziplist:
                return CheckZiplist(bytes, out count);
            case PackedFormat.Listpack:
                return CheckListpack(bytes, out count);
            case PackedFormat.ExpiringListpack:
                return CheckExpiringListpack(bytes, out count);
            case PackedFormat.StreamListpack:
                return CheckStreamListpack(bytes, out count);
            case PackedFormat.Zipmap:
                return CheckZipmap(bytes, out count);
            default:
                return CheckIntset(bytes, out count);
        }
    }

    private static string? CheckListpack(ReadOnlySpan<byte> bytes, out long count)
    {
        ListpackWalker walker = new(bytes);
        while (walker.MoveNext())
        {
        }

        count = walker.Count;
        return walker.Fault;
    }

    private static string? CheckExpiringListpack(ReadOnlySpan<byte> bytes, out long count)
    {
        ListpackWalker walker = new(bytes);
        while (walker.MoveNext())
        {
            if (walker.Count % 3 == 0 && (!walker.IsNumber || walker.Number < 0))
            {
                count = 0;
                return "a field's expiry in a listpack is no instant";
            }
        }

        count = walker.Count;
        return walker.Fault;
    }

    // t_stream.c: a master entry (entries, deleted entries, number of fields, the fields, 0), then for each entry its flags, the
    // difference of its id, its fields unless they are the master's (flag 2), its values, and how many elements that was.
    private static string? CheckStreamListpack(ReadOnlySpan<byte> bytes, out long count)
    {
        const string Fault = "the listpack of a stream is not built as one";
        const int SameFields = 2;
        ListpackWalker walker = new(bytes);
        count = 0;
        if (!walker.MoveToNumber(out long entries) || !walker.MoveToNumber(out long deleted)
            || !walker.MoveToNumber(out long masterFields) || !walker.Skip(masterFields)
            || !walker.MoveToNumber(out long end) || end != 0
            || entries < 0 || deleted < 0 || entries > bytes.Length || deleted > bytes.Length)
        {
            return walker.Fault ?? Fault;
        }

        for (long i = 0; i < entries + deleted; i++)
        {
            long before = walker.Count;
            if (!walker.MoveToNumber(out long flags) || !walker.MoveToNumber(out _) || !walker.MoveToNumber(out _))
            {
                return walker.Fault ?? Fault;
            }

            long fields = masterFields;
            if ((flags & SameFields) == 0 && (!walker.MoveToNumber(out fields) || !walker.Skip(fields)))
            {
                return walker.Fault ?? Fault;
            }

            if (!walker.Skip(fields))
            {
                return walker.Fault ?? Fault;
            }

            long elements = walker.Count - before;
            if (!walker.MoveToNumber(out long stated) || stated != elements)
            {
                return walker.Fault ?? Fault;
            }
        }

        count = entries;
        return walker.MoveNext() ? Fault : walker.Fault;
    }

    private static string? CheckZiplist(ReadOnlySpan<byte> bytes, out long count)
    {
        ZiplistWalker walker = new(bytes);
        while (walker.MoveNext())
        {
        }

        count = walker.Count;
        return walker.Fault;
    }

    // zipmap.c: fields (254: not known), then for each its length and itself, its value's length, one byte of how much unused room
    // follows the value, value and room; 255. A length is one byte, or four after 254.
    private static string? CheckZipmap(ReadOnlySpan<byte> bytes, out long count)
    {
        count = 0;
        if (bytes.Length < 2 || bytes[^1] != 0xFF)
        {
            return "a zipmap does not end as one";
        }

        int end = bytes.Length - 1;
        int at = 1;
        while (at < end)
        {
            if (!TryZipmapLength(bytes[at..end], out int size, out uint length) || length >= (uint)(end - at - size))
            {
                return "a field of a zipmap reaches over its end";
            }

            at += size + (int)length;
            if (!TryZipmapLength(bytes[at..end], out size, out length) || size >= end - at)
            {
                return "a value of a zipmap reaches over its end";
            }

            at += size;
            uint unused = bytes[at++];
            if ((ulong)length + unused > (ulong)(end - at))
            {
                return "a value of a zipmap reaches over its end";
            }

            at += (int)(length + unused);
            count++;
        }

        return count == 0 || (bytes[0] < 254 && bytes[0] != count) ? "a zipmap does not have as many fields as it states" : null;
    }

    private static bool TryZipmapLength(ReadOnlySpan<byte> bytes, out int size, out uint length)
    {
        size = 0;
        length = 0;
        if (bytes.IsEmpty || bytes[0] == 255)
        {
            return false;
        }

        if (bytes[0] < 254)
        {
            size = 1;
            length = bytes[0];
            return true;
        }

        size = 5;
        return bytes.Length >= 5 && BinaryPrimitives.TryReadUInt32LittleEndian(bytes[1..], out length);
    }

    // intset.c: the width of a number, how many, the numbers in ascending order.
    private static string? CheckIntset(ReadOnlySpan<byte> bytes, out long count)
    {
        count = 0;
        if (bytes.Length < 8)
        {
            return "an intset is too short";
        }

        uint width = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        uint stated = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        if (width is not (2 or 4 or 8) || stated == 0 || (8 + ((ulong)stated * width)) != (ulong)bytes.Length)
        {
            return "an intset does not have the length that it states";
        }

        long before = 0;
        for (int i = 0; i < (int)stated; i++)
        {
            ReadOnlySpan<byte> number = bytes[(8 + (i * (int)width))..];
            long value = width switch
            {
                2 => BinaryPrimitives.ReadInt16LittleEndian(number),
                4 => BinaryPrimitives.ReadInt32LittleEndian(number),
                _ => BinaryPrimitives.ReadInt64LittleEndian(number),
            };
            if (i > 0 && value <= before)
            {
                return "the numbers of an intset do not ascend";
            }

            before = value;
        }

        count = stated;
        return null;
    }
}
