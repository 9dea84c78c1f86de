using System.Buffers.Binary;
using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>
/// Reads rows of pg_class out of page images and inserts. A page is written whole when it is changed for the first time after a
/// checkpoint, so whoever drops a table leaves, in nearly every case, its row and its name in the WAL since that checkpoint.
/// </summary>
internal static class CatalogPages
{
    /// <summary>The file of pg_class, in each database, unless somebody has rewritten it by VACUUM FULL.</summary>
    public const uint ClassFile = 1259;

    private const int PageHeadLength = 24;
    private const int TupleHeadLength = 23;
    private const ushort XminInvalid = 0x0200;
    private const ushort XminFrozen = 0x0300;
    private const ushort XmaxInvalid = 0x0800;

    // The first columns of pg_class are fixed in length, never null, and the same in PostgreSQL 15 to 18 (pg_class.h).
    private const int NameLength = 64;
    private const int NamespaceOffset = 68;
    private const int FileOffset = 88;
    private const int MinimumRowLength = 120;

    /// <summary>Restores a page from its image; false where its compression is none that is known here.</summary>
    public static bool TryRestorePage(WalBlock block, ReadOnlySpan<byte> body, Span<byte> page)
    {
        ReadOnlySpan<byte> image = body.Slice(block.ImageOffset, block.ImageLength);
        int hole = !block.HasHole ? 0 : block.IsCompressed ? block.HoleLength : page.Length - image.Length;
        int length = page.Length - hole;
        if (hole < 0 || length < block.HoleOffset)
        {
            return false;
        }

        Span<byte> packed = page[..length];
        bool restored = block switch
        {
            { IsPgLz: true } => PgLz.TryDecompress(image, packed),
            { IsZstd: true } => Zstd.IsAvailable && Zstd.TryDecompress(image, packed),
            { IsLz4: true } => Lz4Block.TryDecompress(image, packed),
            _ => image.Length == length && image.TryCopyTo(packed),
        };
        if (restored && hole > 0)
        {
            page[block.HoleOffset..length].CopyTo(page[(block.HoleOffset + hole)..]);
            page.Slice(block.HoleOffset, hole).Clear();
        }

        return restored;
    }

    /// <summary>Whether a page belongs to an index: a heap's pages have nothing at their end.</summary>
    public static bool IsIndexPage(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt16LittleEndian(page[16..]) < page.Length;

    /// <summary>The rows of a page of pg_class.</summary>
    public static List<CatalogRow> ReadRows(ReadOnlySpan<byte> page, int majorVersion)
    {
        List<CatalogRow> rows = [];
        int lower = BinaryPrimitives.ReadUInt16LittleEndian(page[12..]);
        for (int number = 1; PageHeadLength + (number * sizeof(uint)) <= lower; number++)
        {
            if (ReadRow(page, number, majorVersion) is { } row)
            {
                rows.Add(row);
            }
        }

        return rows;
    }

    /// <summary>The row at a place of a page of pg_class, the first being 1; null where there is none.</summary>
    public static CatalogRow? ReadRow(ReadOnlySpan<byte> page, int number, int majorVersion)
    {
        ReadOnlySpan<byte> tuple = FindTuple(page, number);
        if (tuple.IsEmpty)
        {
            return null;
        }

        uint xmin = BinaryPrimitives.ReadUInt32LittleEndian(tuple);
        uint xmax = BinaryPrimitives.ReadUInt32LittleEndian(tuple[4..]);
        ushort bits = BinaryPrimitives.ReadUInt16LittleEndian(tuple[20..]);
        int data = tuple[22];
        return (bits & XminFrozen) != XminInvalid && data <= tuple.Length
            ? ReadRow(tuple[data..], xmin, xmax == 0 || (bits & XmaxInvalid) != 0, majorVersion)
            : null;
    }

    /// <summary>The row that an insert brings: behind five bytes of what the tuple's head will need (heapam_xlog.h, xl_heap_header).</summary>
    public static CatalogRow? ReadInserted(ReadOnlySpan<byte> data, uint xid, int majorVersion)
    {
        const int HeadLength = 5;
        // What stands between the head and the columns: the bitmap of nulls and padding, from the end of the fixed head on.
        return data.Length > HeadLength && data[4] - TupleHeadLength is >= 0 and var skip && HeadLength + skip <= data.Length
            ? ReadRow(data[(HeadLength + skip)..], xid, true, majorVersion)
            : null;
    }

    /// <summary>The columns at a place of a page; empty where there are none.</summary>
    public static ReadOnlySpan<byte> FindColumns(ReadOnlySpan<byte> page, int number) =>
        FindTuple(page, number) is { IsEmpty: false } tuple && tuple[22] <= tuple.Length ? tuple[tuple[22]..] : default;

    /// <summary>
    /// The database that a row of pg_database makes invalid; null where it does not. DROP DATABASE does so before all else, outside of any
    /// transaction, and a server refuses connections from then on (dbcommands.c, dropdb; DATCONNLIMIT_INVALID_DB).
    /// </summary>
    public static uint? ReadInvalidDatabase(ReadOnlySpan<byte> columns)
    {
        // oid, datname, datdba, encoding, four bytes of single ones, datconnlimit (pg_database.h).
        const int LimitOffset = 80, Invalid = -2;
        return columns.Length >= LimitOffset + sizeof(int) && BinaryPrimitives.ReadInt32LittleEndian(columns[LimitOffset..]) == Invalid
            ? BinaryPrimitives.ReadUInt32LittleEndian(columns)
            : null;
    }

    private static ReadOnlySpan<byte> FindTuple(ReadOnlySpan<byte> page, int number)
    {
        const uint Normal = 1;
        int place = PageHeadLength + ((number - 1) * sizeof(uint));
        if (number < 1 || place + sizeof(uint) > page.Length)
        {
            return default;
        }

        uint pointer = BinaryPrimitives.ReadUInt32LittleEndian(page[place..]);
        int offset = (int)(pointer & 0x7FFF);
        int length = (int)(pointer >> 17);
        return ((pointer >> 15) & 3) == Normal && length >= TupleHeadLength && offset + length <= page.Length ? page.Slice(offset, length) : default;
    }

    private static CatalogRow? ReadRow(ReadOnlySpan<byte> row, uint xmin, bool isCurrent, int majorVersion)
    {
        if (row.Length < MinimumRowLength)
        {
            return null;
        }

        ReadOnlySpan<byte> name = row.Slice(sizeof(uint), NameLength);
        int end = name.IndexOf((byte)0);
        // relkind stands behind what PostgreSQL 18 added, relallfrozen.
        char kind = (char)row[majorVersion >= 18 ? 119 : 115];
        return end <= 0 ? null : new CatalogRow(
            BinaryPrimitives.ReadUInt32LittleEndian(row),
            Encoding.UTF8.GetString(name[..end]),
            BinaryPrimitives.ReadUInt32LittleEndian(row[NamespaceOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(row[FileOffset..]),
            kind,
            xmin,
            isCurrent);
    }
}
