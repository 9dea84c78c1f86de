using System.Buffers.Binary;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Takes a record's body apart (xlogreader.c, DecodeXLogRecord): first the heads of all parts, then, in the same order, the image and the
/// data of each block, and last the main data.
/// </summary>
internal static class WalRecordLayout
{
    /// <summary>XLR_MAX_BLOCK_ID + 1.</summary>
    public const int MaximumBlocks = 33;

    private const byte TopLevelXid = 252;
    private const byte Origin = 253;
    private const byte LongData = 254;
    private const byte ShortData = 255;

    /// <summary>Finds the parts.</summary>
    /// <param name="body">The body.</param>
    /// <param name="blocks">Takes the blocks; has room for <see cref="MaximumBlocks"/>.</param>
    /// <param name="blockCount">How many there are.</param>
    /// <param name="main">The main data; empty where there is none.</param>
    /// <returns>False where the parts do not fit the body.</returns>
    public static bool TryRead(ReadOnlySpan<byte> body, Span<WalBlock> blocks, out int blockCount, out ReadOnlySpan<byte> main)
    {
        blockCount = 0;
        main = default;
        int position = 0;
        long dataLength = 0;
        long mainLength = 0;
        RelationFile? file = null;
        // As PostgreSQL does: what is left when the heads are through is exactly what the heads announced.
        while (body.Length - position > dataLength)
        {
            ReadOnlySpan<byte> rest = body[position..];
            switch (rest[0])
            {
                case ShortData when rest.Length >= 2:
                    mainLength = rest[1];
                    position += 2;
                    dataLength += mainLength;
                    break;
                case LongData when rest.Length >= 5:
                    mainLength = BinaryPrimitives.ReadUInt32LittleEndian(rest[1..]);
                    position += 5;
                    dataLength += mainLength;
                    break;
                case Origin:
                    position += 3;
                    continue;
                case TopLevelXid:
                    position += 5;
                    continue;
                case < MaximumBlocks when blockCount < blocks.Length && TryReadBlock(rest, ref file, out WalBlock block, out int length):
                    blocks[blockCount++] = block;
                    position += length;
                    dataLength += block.ImageLength + block.DataLength;
                    continue;
                default:
                    return false;
            }

            break;
        }

        if (body.Length - position != dataLength)
        {
            return false;
        }

        for (int i = 0; i < blockCount; i++)
        {
            WalBlock block = blocks[i];
            blocks[i] = block with { ImageOffset = position, DataOffset = position + block.ImageLength };
            position += block.ImageLength + block.DataLength;
        }

        main = body[position..];
        return main.Length == mainLength;
    }

    private static bool TryReadBlock(ReadOnlySpan<byte> rest, ref RelationFile? file, out WalBlock block, out int length)
    {
        const byte ForkMask = 0x0F, HasImage = 0x10, SameRelation = 0x80, HasHole = 0x01, Compressed = 0x04 | 0x08 | 0x10;
        const int FileLength = 12;
        block = default;
        length = 4;
        if (rest.Length < length)
        {
            return false;
        }

        byte flags = rest[1];
        ushort dataLength = BinaryPrimitives.ReadUInt16LittleEndian(rest[2..]);
        ushort imageLength = 0, holeOffset = 0, holeLength = 0;
        byte imageInfo = 0;
        if ((flags & HasImage) != 0)
        {
            if (rest.Length < length + 5)
            {
                return false;
            }

            imageLength = BinaryPrimitives.ReadUInt16LittleEndian(rest[length..]);
            holeOffset = BinaryPrimitives.ReadUInt16LittleEndian(rest[(length + 2)..]);
            imageInfo = rest[length + 4];
            length += 5;
            if ((imageInfo & HasHole) != 0 && (imageInfo & Compressed) != 0)
            {
                if (rest.Length < length + 2)
                {
                    return false;
                }

                holeLength = BinaryPrimitives.ReadUInt16LittleEndian(rest[length..]);
                length += 2;
            }
        }

        if ((flags & SameRelation) == 0)
        {
            if (rest.Length < length + FileLength)
            {
                return false;
            }

            file = ReadFile(rest[length..]);
            length += FileLength;
        }

        if (file is not { } known || rest.Length < length + 4)
        {
            return false;
        }

        block = new WalBlock
        {
            File = known,
            Fork = (byte)(flags & ForkMask),
            Number = BinaryPrimitives.ReadUInt32LittleEndian(rest[length..]),
            DataLength = dataLength,
            ImageLength = imageLength,
            HoleOffset = holeOffset,
            HoleLength = holeLength,
            ImageInfo = imageInfo,
        };
        length += 4;
        return true;
    }

    /// <summary>Reads tablespace, database and number, which stand in this order everywhere.</summary>
    public static RelationFile ReadFile(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
}
