using System.Text;
using SmcDr.Core.Redis.Rdb;
using static SmcDr.Core.Tests.Redis.Rdb.RdbBuilder;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>Values made by hand, in every encoding that there is.</summary>
internal static class RdbSamples
{
    public static string LongText { get; } = new('l', 300);

    private static readonly string s_veryLong = new('v', 20_000);

    /// <summary>Payloads of encodings until RDB 9, and what the server makes of them.</summary>
    public static (RdbEncoding Encoding, byte[] Payload, object[] Question, string[] Answer)[] OldValues { get; } =
    [
        (RdbEncoding.List, [.. Length(3), .. String("a"), 0xC0, 0xFB, .. Compressed(Encoding.ASCII.GetBytes(LongText))],
            ["LRANGE", "key", 0, -1], ["a", "-5", LongText]),
        (RdbEncoding.Set, [.. Length(2), 0xC1, 0x10, 0x27, 0xC2, 0x40, 0x42, 0x0F, 0x00], ["SMEMBERS", "key"], ["10000", "1000000"]),
        (RdbEncoding.SortedSet,
            [.. Length(4), .. String("a"), .. TextDouble("1.5"), .. String("b"), 255, .. String("c"), 254, .. String("d"), .. TextDouble("-1e+30")],
            ["ZRANGE", "key", 0, -1, "WITHSCORES"], ["b", "-inf", "d", "-1e+30", "a", "1.5", "c", "inf"]),
        (RdbEncoding.Hash, [.. Length(1), .. String("field"), .. String(LongText)], ["HGETALL", "key"], ["field", LongText]),

        // The example of zipmap.c itself: two fields in 25 bytes.
        (RdbEncoding.HashZipmap, String("\u0002\u0003foo\u0003\u0000bar\u0005hello\u0005\u0000world\u00ff"),
            ["HGETALL", "key"], ["foo", "bar", "hello", "world"]),
        (RdbEncoding.HashZipmap, String(Zipmap(("a", "1"), ("b", "22"), (LongText, LongText), ("d", ""))),
            ["HGETALL", "key"], ["a", "1", "b", "22", LongText, LongText, "d", ""]),

        // The example of ziplist.c itself: the numbers 2 and 5 in 15 bytes.
        (RdbEncoding.ListZiplist, String([0x0F, 0, 0, 0, 0x0C, 0, 0, 0, 2, 0, 0, 0xF3, 2, 0xF6, 0xFF]),
            ["LRANGE", "key", 0, -1], ["2", "5"]),
        (RdbEncoding.ListZiplist,
            String(Ziplist("a", 0, 12, 13, -1, 127, -128, 128, 32767, -32768, 32768, -8388608, 8388607, 8388608, int.MinValue, int.MaxValue,
                long.MinValue, long.MaxValue, LongText, "after a long one", s_veryLong, "", "end")),
            ["LRANGE", "key", 0, -1],
            ["a", "0", "12", "13", "-1", "127", "-128", "128", "32767", "-32768", "32768", "-8388608", "8388607", "8388608", "-2147483648",
                "2147483647", "-9223372036854775808", "9223372036854775807", LongText, "after a long one", s_veryLong, "", "end"]),
        (RdbEncoding.SortedSetZiplist, Compressed(Ziplist("a", 1, "b", "1.25", LongText, 300)),
            ["ZRANGE", "key", 0, -1, "WITHSCORES"], ["a", "1", "b", "1.25", LongText, "300"]),
        (RdbEncoding.HashZiplist, String(Ziplist("field", "value", "number", 17)), ["HGETALL", "key"], ["field", "value", "number", "17"]),
        (RdbEncoding.ListQuicklist,
            [.. Length(3), .. String(Ziplist("a", "b")), .. String(Ziplist()), .. Compressed(Ziplist(LongText, 4))],
            ["LRANGE", "key", 0, -1], ["a", "b", LongText, "4"]),
        (RdbEncoding.StreamListpacks, Stream(1), ["XRANGE", "key", "-", "+"], ["1000-0", "name", "Ada", "1000-1", "name", "Bo"]),
    ];

    /// <summary>A file as Redis 7.4 in a cluster would write it, without its end.</summary>
    public static RdbBuilder NewServer() => new RdbBuilder(12)
        .Add([250, .. String("redis-ver"), .. String("7.4.1")])
        .Add([254, 0, 251, .. Length(7), 1])
        // A cluster's slot, its keys, and its keys that expire.
        .Add([244, .. Length(16383), 6, 1])
        .Key(RdbEncoding.SetListpack, "set", String(Listpack("a", 1, -5000, LongText)))
        .Key(RdbEncoding.StreamListpacks2, "stream 2", Stream(2))
        .Key(RdbEncoding.StreamListpacks3, "stream 3", Stream(3))
        .Key(RdbEncoding.HashMetadata, "hash", [.. Milliseconds(1_900_000_000_000), .. Length(2),
            0, .. String("stays"), .. String("x"), .. Length(1001), .. String("expires"), .. String("y")])
        .Key(RdbEncoding.HashListpackExpiring, "small hash",
            [.. Milliseconds(1_900_000_000_000), .. String(Listpack("expires", "y", 1_900_000_000_000, "stays", "x", 0))])
        .Key(RdbEncoding.HashMetadataPreGa, "candidate",
            [.. Length(1), .. Length(1_900_000_000_000), .. String("expires"), .. String("y")])
        .Key(RdbEncoding.HashListpackExpiringPreGa, "small candidate", String(Listpack("expires", "y", 1_900_000_000_000)));

    /// <summary>A file with every encoding and opcode that can be read.</summary>
    public static byte[] EveryEncoding()
    {
        RdbBuilder builder = NewServer().Add([245, .. String("#!lua name=lib\nreturn 1")]).Add([247, .. Length(1 << 12), 2, 2, 1, 5, 0]);
        foreach ((RdbEncoding encoding, byte[] payload, _, _) in OldValues)
        {
            // Of a text this long the first kilobytes are as good as all of it.
            if (payload.Length < 10_000)
            {
                builder.Key(encoding, $"key {encoding} {payload.Length}", payload);
            }
        }

        return builder.Add([254, 3, 252, .. Milliseconds(1_900_000_000_000), 248, .. Length(100_000), 249, 7])
            .Key(RdbEncoding.SortedSet2, "sorted", [1, .. String("m"), .. BitConverter.GetBytes(1.5)])
            .Key(RdbEncoding.SetIntset, "numbers", String(Intset(4, -1, 5, 70000)))
            .Key(RdbEncoding.ListQuicklist2, "list", [.. Length(2), 1, .. String(LongText), 2, .. Compressed(Listpack("a", LongText))])
            .Key(RdbEncoding.SortedSetListpack, "small sorted", String(Listpack("m", 1, "n", "2.5")))
            .Key(RdbEncoding.HashListpack, "small hash", String(Listpack("field", -70000, LongText, long.MinValue)))
            .Key(RdbEncoding.Module2, "module", [.. Length(1 << 12), 5, .. String("text"), 4, .. new byte[8], 0])
            .Key(RdbEncoding.String, "compressed", Compressed(Encoding.ASCII.GetBytes(LongText)))
            .Build();
    }

    /// <summary>Two entries; a group that has read one, which its only consumer has not acknowledged.</summary>
    public static byte[] Stream(int version) =>
    [
        .. Length(1), .. String(RdbBuilder.StreamId(1000, 0)), .. String(StreamListpack(["name"], ["Ada"], ["Bo"])),
        .. Length(2), .. Length(1000), .. Length(1),
        .. version < 2 ? Array.Empty<byte>() : [.. Length(1000), .. Length(0), .. Length(0), .. Length(0), .. Length(2)],
        .. Length(1), .. String("group"), .. Length(1000), .. Length(0), .. version < 2 ? Array.Empty<byte>() : Length(1),
        .. Length(1), .. RdbBuilder.StreamId(1000, 0), .. Milliseconds(1_700_000_000_000), .. Length(1),
        .. Length(1), .. String("consumer"), .. Milliseconds(1_700_000_000_000),
        .. version < 3 ? Array.Empty<byte>() : Milliseconds(1_700_000_000_001),
        .. Length(1), .. RdbBuilder.StreamId(1000, 0),
    ];
}
