using System.Buffers.Binary;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Reads the rest of a record behind its head (xlogrecord.h, xact.h).</summary>
internal static class WalRecordBody
{
    private const byte MaximumBlockId = 32;
    private const byte TopLevelXid = 252;
    private const byte Origin = 253;
    private const byte LongData = 254;
    private const byte ShortData = 255;

    /// <summary>Microseconds from 2000-01-01, as PostgreSQL stores a timestamptz.</summary>
    public static DateTimeOffset ReadTime(ReadOnlySpan<byte> data)
    {
        long microseconds = BinaryPrimitives.ReadInt64LittleEndian(data);
        DateTimeOffset epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
        // 'infinity' and a clock gone wild are still a point to stop at.
        long limit = (DateTimeOffset.MaxValue - epoch).Ticks / TimeSpan.TicksPerMicrosecond;
        long lower = (DateTimeOffset.MinValue - epoch).Ticks / TimeSpan.TicksPerMicrosecond;
        return epoch.AddTicks(Math.Clamp(microseconds, lower, limit) * TimeSpan.TicksPerMicrosecond);
    }

    /// <summary>Finds the main data: the last part of the record, behind the heads and the data of its blocks.</summary>
    public static bool TryGetMainData(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<byte> rest = body;
        data = default;
        while (rest.Length > 0)
        {
            byte id = rest[0];
            int length;
            switch (id)
            {
                case ShortData when rest.Length >= 2:
                    return TryTakeLast(body, rest[1], rest.Length - 2, out data);
                case LongData when rest.Length >= 5:
                    return TryTakeLast(body, BinaryPrimitives.ReadUInt32LittleEndian(rest[1..]), rest.Length - 5, out data);
                case Origin:
                    length = 3;
                    break;
                case TopLevelXid:
                    length = 5;
                    break;
                case <= MaximumBlockId when TryGetBlockHeaderLength(rest, out length):
                    break;
                default:
                    return false;
            }

            if (rest.Length < length)
            {
                return false;
            }

            rest = rest[length..];
        }

        return false;
    }

    /// <summary>
    /// For the end of a prepared transaction, takes its own id out of the record: behind the optional parts that xinfo tells
    /// (xactdesc.c). True where there is nothing to take.
    /// </summary>
    public static bool TryGetPreparedXid(ReadOnlySpan<byte> data, byte info, WalTransactionKind kind, int majorVersion, ref uint xid)
    {
        if (kind is WalTransactionKind.Commit or WalTransactionKind.Abort)
        {
            return true;
        }

        const byte HasInfo = 0x80;
        if ((info & HasInfo) == 0 || data.Length < 12)
        {
            return false;
        }

        uint parts = BinaryPrimitives.ReadUInt32LittleEndian(data[8..]);
        ReadOnlySpan<byte> rest = data[12..];
        const uint Database = 1, Subtransactions = 2, Relations = 4, Invalidations = 8, TwoPhase = 16, DroppedStatistics = 256;
        // A dropped statistics item has its object as 32 bits up to PostgreSQL 17 and as 64 from 18 on.
        int statistics = majorVersion >= 18 ? 16 : 12;
        if ((parts & TwoPhase) == 0 ||
            ((parts & Database) != 0 && !TrySkip(ref rest, 8)) ||
            ((parts & Subtransactions) != 0 && !TrySkipArray(ref rest, 4)) ||
            ((parts & Relations) != 0 && !TrySkipArray(ref rest, 12)) ||
            ((parts & DroppedStatistics) != 0 && !TrySkipArray(ref rest, statistics)) ||
            (kind == WalTransactionKind.CommitPrepared && (parts & Invalidations) != 0 && !TrySkipArray(ref rest, 16)) ||
            rest.Length < sizeof(uint))
        {
            return false;
        }

        xid = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        return true;
    }

    private static bool TryTakeLast(ReadOnlySpan<byte> body, uint length, int available, out ReadOnlySpan<byte> data)
    {
        data = length <= (uint)available ? body[^(int)length..] : default;
        return length <= (uint)available;
    }

    private static bool TryGetBlockHeaderLength(ReadOnlySpan<byte> rest, out int length)
    {
        const byte HasImage = 0x10, SameRelation = 0x80, HasHole = 0x01, Compressed = 0x04 | 0x08 | 0x10;
        length = 4;
        if (rest.Length < length)
        {
            return false;
        }

        byte flags = rest[1];
        if ((flags & HasImage) != 0)
        {
            if (rest.Length < length + 5)
            {
                return false;
            }

            byte image = rest[length + 4];
            length += 5 + ((image & HasHole) != 0 && (image & Compressed) != 0 ? 2 : 0);
        }

        length += ((flags & SameRelation) == 0 ? 12 : 0) + 4;
        return true;
    }

    private static bool TrySkip(ref ReadOnlySpan<byte> rest, long length)
    {
        if (rest.Length < length)
        {
            return false;
        }

        rest = rest[(int)length..];
        return true;
    }

    private static bool TrySkipArray(ref ReadOnlySpan<byte> rest, int itemLength)
    {
        if (rest.Length < sizeof(int))
        {
            return false;
        }

        int count = BinaryPrimitives.ReadInt32LittleEndian(rest);
        return count >= 0 && TrySkip(ref rest, sizeof(int) + ((long)count * itemLength));
    }
}
