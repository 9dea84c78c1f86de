using System.Globalization;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>Keys of every type in every encoding that Redis 7.0 writes, in three databases.</summary>
internal static class RedisSampleData
{
    /// <summary>What every encoding that Redis 7.0 writes is called, for tests that none is missing.</summary>
    public static IReadOnlyList<int> EncodingsWritten { get; } = [0, 2, 4, 5, 11, 16, 17, 18, 19];

    public const string LibraryCode = "#!lua name=sample\nredis.register_function('one', function() return 1 end)\n";

    public const long Expiry = 4_102_444_800_123;

    public static async Task FillAsync(RedisServer server)
    {
        // All in one go: a round trip takes long on a busy machine.
        List<object[]> commands = [];
        byte[] noise = new byte[3_000_000];
        new Random(7).NextBytes(noise);

        commands.Add(["SET", "string:empty", ""]);
        commands.Add(["SET", "string:short", "value"]);
        commands.Add(["SET", "string:binary", new byte[] { 0, 255, 13, 10 }]);
        foreach (string number in (string[])["-128", "127", "-32768", "32767", "-2147483648", "2147483647", "9223372036854775807", "007"])
        {
            commands.Add(["SET", "string:" + number, number]);
        }

        commands.Add(["SET", "string:repeats", string.Concat(Enumerable.Repeat("some text that repeats, ", 500))]);
        commands.Add(["SET", "string:noise", noise[..70_000]]);
        commands.Add(["SET", "string:large", noise]);
        commands.Add(["SET", "string:large:repeats", new string('x', 2_000_000)]);
        commands.Add(["SET", "", "the key is empty"]);
        commands.Add(["SET", "12345", "the key is a number"]);
        commands.Add(["SET", new byte[] { 0, 1, 254, 255 }, "the key is binary"]);
        commands.Add(["SET", "key:" + new string('k', 5000), "the key is compressed"]);
        commands.Add(["SET", "expiry:string", "x", "PXAT", Expiry]);

        commands.Add(["RPUSH", "list:short", "a", "-1", "12", "4095", "70000", "8000000", "2000000000", "5000000000000", ""]);
        commands.Add(["CONFIG", "SET", "list-max-listpack-size", "4"]);
        commands.Add(["RPUSH", "list:nodes", .. Enumerable.Range(0, 1000).Select(static i => (object)$"element {i}")]);
        commands.Add(["CONFIG", "SET", "list-max-listpack-size", "-1"]);
        commands.Add(["CONFIG", "SET", "list-compress-depth", "1"]);
        commands.Add(["RPUSH", "list:compressed",
            .. Enumerable.Range(0, 400).Select(static i => (object)$"element {i} {new string('y', 100)}")]);
        commands.Add(["CONFIG", "SET", "list-compress-depth", "0"]);
        commands.Add(["DEBUG", "QUICKLIST-PACKED-THRESHOLD", "100B"]);
        commands.Add(["RPUSH", "list:plain", "short", noise[..5000], new string('z', 5000), "short again"]);
        commands.Add(["DEBUG", "QUICKLIST-PACKED-THRESHOLD", "1073741824B"]);
        commands.Add(["RPUSH", "expiry:list", "x"]);
        commands.Add(["PEXPIREAT", "expiry:list", Expiry + 1]);

        commands.Add(["SADD", "set:intset:2", "1", "-2", "30000"]);
        commands.Add(["SADD", "set:intset:4", "1", "-2", "300000"]);
        commands.Add(["SADD", "set:intset:8", "1", "-2", "30000000000000"]);
        commands.Add(["SADD", "set:words", "a", "b", "c", "4"]);
        commands.Add(["SADD", "set:numbers", .. Enumerable.Range(0, 1000).Select(static i => (object)(i * 1_000_003))]);

        commands.Add(["ZADD", "sorted:short", "-inf", "least", "0", "zero", "-0", "minus zero", "1.5", "b", "+inf", "most",
            "1e300", "large", "12", "twelve"]);
        commands.Add(["ZADD", "sorted:long",
            .. Enumerable.Range(0, 500).SelectMany(static i => new object[] { (i * 0.1).ToString("R", CultureInfo.InvariantCulture), $"member {i}" }),
            "inf", "most", "-inf", "least"]);

        commands.Add(["HSET", "hash:short", "field", "value", "number", "12", "", ""]);
        commands.Add(["HSET", "hash:long",
            .. Enumerable.Range(0, 700).SelectMany(static i => new object[] { $"field {i}", new string('v', i % 90) })]);
        commands.Add(["CONFIG", "SET", "hash-max-listpack-entries", "100000", "hash-max-listpack-value", "10000"]);
        commands.Add(["HSET", "hash:packed",
            .. Enumerable.Range(0, 3000).SelectMany(static i => new object[] { $"field {i}", new string('v', i % 300) })]);

        commands.Add(["XGROUP", "CREATE", "stream:empty", "group", "$", "MKSTREAM"]);
        commands.Add(["CONFIG", "SET", "stream-node-max-entries", "10"]);
        for (int i = 1; i <= 95; i++)
        {
            object[] fields = i % 7 == 0 ? ["other", i, "fields", "here"] : ["name", $"entry {i}", "number", i * 1000];
            commands.Add(["XADD", "stream:groups", $"{1000 + (i / 3)}-{i}", .. fields]);
        }

        commands.Add(["XDEL", "stream:groups", "1001-4", "1001-5"]);
        commands.Add(["XGROUP", "CREATE", "stream:groups", "readers", "0"]);
        commands.Add(["XGROUP", "CREATE", "stream:groups", "idle", "1010-30", "ENTRIESREAD", "30"]);
        commands.Add(["XREADGROUP", "GROUP", "readers", "first", "COUNT", "20", "STREAMS", "stream:groups", ">"]);
        commands.Add(["XREADGROUP", "GROUP", "readers", "second", "COUNT", "5", "STREAMS", "stream:groups", ">"]);
        commands.Add(["XGROUP", "CREATECONSUMER", "stream:groups", "readers", "third"]);
        commands.Add(["XACK", "stream:groups", "readers", "1000-1", "1000-2"]);

        commands.Add(["FUNCTION", "LOAD", LibraryCode]);

        commands.Add(["SELECT", "3"]);
        for (int i = 0; i < 200; i++)
        {
            commands.Add(["SET", $"three:{i}", i, "PXAT", Expiry + i]);
        }

        commands.Add(["SELECT", "15"]);
        commands.Add(["HSET", "fifteen", "field", "value"]);
        commands.Add(["SELECT", "0"]);
        await server.ExecuteManyAsync(commands);
    }

    /// <summary>The command that counts a value's elements.</summary>
    public static object[] CountCommand(RdbRecord record) => record.Type switch
    {
        RdbValueType.List => ["LLEN", record.Key],
        RdbValueType.Set => ["SCARD", record.Key],
        RdbValueType.SortedSet => ["ZCARD", record.Key],
        RdbValueType.Hash => ["HLEN", record.Key],
        RdbValueType.Stream => ["XLEN", record.Key],
        _ => ["EXISTS", record.Key],
    };
}
