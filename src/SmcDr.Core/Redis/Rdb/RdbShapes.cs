using static SmcDr.Core.Redis.Rdb.RdbPart;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>How the value of each encoding is put together (rdb.c).</summary>
internal static class RdbShapes
{
    private static readonly RdbInstruction s_string = new(RdbPart.String);
    private static readonly RdbInstruction s_number = new(Number);
    private static readonly RdbInstruction s_bytes8 = new(Bytes8);

    private static readonly RdbInstruction[]?[] s_shapes = CreateShapes();

    /// <summary>Data of a module that belongs to no key: its type, when it is loaded (2 and a number), and its parts.</summary>
    public static RdbInstruction[] ModuleData { get; } = [new(ModuleType), s_number, s_number, new(ModuleParts)];

    /// <summary>The parts of a value, or null where its end cannot be found.</summary>
    public static RdbInstruction[]? Of(byte encoding) => encoding < s_shapes.Length ? s_shapes[encoding] : null;

    /// <summary>What a value is.</summary>
    public static RdbValueType TypeOf(RdbEncoding encoding) => encoding switch
    {
        RdbEncoding.String => RdbValueType.String,
        RdbEncoding.List or RdbEncoding.ListZiplist or RdbEncoding.ListQuicklist or RdbEncoding.ListQuicklist2 => RdbValueType.List,
        RdbEncoding.Set or RdbEncoding.SetIntset or RdbEncoding.SetListpack => RdbValueType.Set,
        RdbEncoding.SortedSet or RdbEncoding.SortedSet2 or RdbEncoding.SortedSetZiplist or RdbEncoding.SortedSetListpack =>
            RdbValueType.SortedSet,
        RdbEncoding.StreamListpacks or RdbEncoding.StreamListpacks2 or RdbEncoding.StreamListpacks3 => RdbValueType.Stream,
        RdbEncoding.ModulePreGa or RdbEncoding.Module2 => RdbValueType.Module,
        _ => RdbValueType.Hash,
    };

    /// <summary>The version of the format that began to have an encoding.</summary>
    public static int FirstVersionOf(RdbEncoding encoding) => encoding switch
    {
        >= RdbEncoding.HashMetadataPreGa => 12,
        >= RdbEncoding.SetListpack => 11,
        >= RdbEncoding.HashListpack => 10,
        RdbEncoding.StreamListpacks => 9,
        RdbEncoding.SortedSet2 or RdbEncoding.ModulePreGa or RdbEncoding.Module2 => 8,
        RdbEncoding.ListQuicklist => 7,
        _ => 1,
    };

    private static RdbInstruction[]?[] CreateShapes()
    {
        RdbInstruction[]?[] shapes = new RdbInstruction[]?[(int)RdbEncoding.HashListpackExpiring + 1];
        shapes[(int)RdbEncoding.String] = [s_string];
        shapes[(int)RdbEncoding.List] = [Elements(s_string)];
        shapes[(int)RdbEncoding.Set] = [Elements(s_string)];
        shapes[(int)RdbEncoding.SortedSet] = [Elements(s_string, new(TextDouble))];
        shapes[(int)RdbEncoding.Hash] = [Elements(s_string, s_string)];
        shapes[(int)RdbEncoding.SortedSet2] = [Elements(s_string, new(RdbPart.Double))];
        shapes[(int)RdbEncoding.Module2] = [new(ModuleType), new(ModuleParts)];
        shapes[(int)RdbEncoding.HashZipmap] = [PackedOf(PackedFormat.Zipmap)];
        shapes[(int)RdbEncoding.ListZiplist] = [PackedOf(PackedFormat.Ziplist)];
        shapes[(int)RdbEncoding.SetIntset] = [PackedOf(PackedFormat.Intset)];
        shapes[(int)RdbEncoding.SortedSetZiplist] = [PackedOf(PackedFormat.Ziplist, 2)];
        shapes[(int)RdbEncoding.HashZiplist] = [PackedOf(PackedFormat.Ziplist, 2)];
        shapes[(int)RdbEncoding.ListQuicklist] = [Repeated(PackedOf(PackedFormat.Ziplist))];
        shapes[(int)RdbEncoding.StreamListpacks] = Stream(1);
        shapes[(int)RdbEncoding.HashListpack] = [PackedOf(PackedFormat.Listpack, 2)];
        shapes[(int)RdbEncoding.SortedSetListpack] = [PackedOf(PackedFormat.Listpack, 2)];
        shapes[(int)RdbEncoding.ListQuicklist2] = [Repeated(new RdbInstruction(ListNode, Format: PackedFormat.Listpack))];
        shapes[(int)RdbEncoding.StreamListpacks2] = Stream(2);
        shapes[(int)RdbEncoding.SetListpack] = [PackedOf(PackedFormat.Listpack)];
        shapes[(int)RdbEncoding.StreamListpacks3] = Stream(3);

        // A field's expiry before the field: absolute in the release candidates, since then relative to the least one, which comes first.
        shapes[(int)RdbEncoding.HashMetadataPreGa] = [Elements(s_number, s_string, s_string)];
        shapes[(int)RdbEncoding.HashMetadata] = [s_bytes8, Elements(s_number, s_string, s_string)];
        shapes[(int)RdbEncoding.HashListpackExpiringPreGa] = [PackedOf(PackedFormat.ExpiringListpack, 3)];
        shapes[(int)RdbEncoding.HashListpackExpiring] = [s_bytes8, PackedOf(PackedFormat.ExpiringListpack, 3)];
        return shapes;
    }

    private static RdbInstruction[] Stream(int version)
    {
        RdbInstruction[] pending = [new(Bytes16), s_bytes8, s_number];
        RdbInstruction owned = Repeated(new RdbInstruction(Bytes16));

        // Name, when it was last seen and (version 3) last active, and what it has not acknowledged.
        RdbInstruction[] consumer = version < 3 ? [s_string, s_bytes8, owned] : [s_string, s_bytes8, s_bytes8, owned];

        // Name, last id, (version 2) entries read, everything not acknowledged, and the consumers.
        RdbInstruction[] group = version < 2
            ? [s_string, s_number, s_number, Repeated(pending), Repeated(consumer)]
            : [s_string, s_number, s_number, s_number, Repeated(pending), Repeated(consumer)];

        // Nodes, length and last id; (version 2) first id, greatest deleted id, entries ever added; and the groups.
        RdbInstruction nodes = Repeated(new(StreamId), PackedOf(PackedFormat.StreamListpack));
        RdbInstruction length = new(Number, IsElementCount: true);
        return version < 2
            ? [nodes, length, s_number, s_number, Repeated(group)]
            : [nodes, length, s_number, s_number, s_number, s_number, s_number, s_number, s_number, Repeated(group)];
    }

    private static RdbInstruction Elements(params RdbInstruction[] body) => new(Repeat, body, IsElementCount: true);

    private static RdbInstruction Repeated(params RdbInstruction[] body) => new(Repeat, body);

    private static RdbInstruction PackedOf(PackedFormat format, int elementsPerItem = 1) =>
        new(RdbPart.Packed, Format: format, ElementsPerItem: elementsPerItem);
}
