using System.Globalization;
using System.Text;

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
        byte[] noise = new byte[3_000_000];
        new Random(7).NextBytes(noise);

        await server.ExecuteAsync("SET", "string:empty", "");
        await server.ExecuteAsync("SET", "string:short", "value");
        await server.ExecuteAsync("SET", "string:binary", new byte[] { 0, 255, 13, 10 });
        foreach (string number in (string[])["-128", "127", "-32768", "32767", "-2147483648", "2147483647", "9223372036854775807", "007"])
        {
            await server.ExecuteAsync("SET", "string:" + number, number);
        }

        await server.ExecuteAsync("SET", "string:repeats", string.Concat(Enumerable.Repeat("some text that repeats, ", 500)));
        await server.ExecuteAsync("SET", "string:noise", noise[..70_000]);
        await server.ExecuteAsync("SET", "string:large", noise);
        await server.ExecuteAsync("SET", "string:large:repeats", new string('x', 2_000_000));
        await server.ExecuteAsync("SET", "", "the key is empty");
        await server.ExecuteAsync("SET", "12345", "the key is a number");
        await server.ExecuteAsync("SET", new byte[] { 0, 1, 254, 255 }, "the key is binary");
        await server.ExecuteAsync("SET", "key:" + new string('k', 5000), "the key is compressed");
        await server.ExecuteAsync("SET", "expiry:string", "x", "PXAT", Expiry);

        await server.ExecuteAsync("RPUSH", "list:short", "a", "-1", "12", "4095", "70000", "8000000", "2000000000", "5000000000000", "");
        await server.ExecuteAsync("CONFIG", "SET", "list-max-listpack-size", "4");
        await server.ExecuteAsync(["RPUSH", "list:nodes", .. Enumerable.Range(0, 1000).Select(static i => (object)$"element {i}")]);
        await server.ExecuteAsync("CONFIG", "SET", "list-max-listpack-size", "-1");
        await server.ExecuteAsync("CONFIG", "SET", "list-compress-depth", "1");
        await server.ExecuteAsync(["RPUSH", "list:compressed",
            .. Enumerable.Range(0, 400).Select(static i => (object)$"element {i} {new string('y', 100)}")]);
        await server.ExecuteAsync("CONFIG", "SET", "list-compress-depth", "0");
        await server.ExecuteAsync("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "100B");
        await server.ExecuteAsync("RPUSH", "list:plain", "short", noise[..5000], new string('z', 5000), "short again");
        await server.ExecuteAsync("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "1073741824B");
        await server.ExecuteAsync("RPUSH", "expiry:list", "x");
        await server.ExecuteAsync("PEXPIREAT", "expiry:list", Expiry + 1);

        await server.ExecuteAsync("SADD", "set:intset:2", "1", "-2", "30000");
        await server.ExecuteAsync("SADD", "set:intset:4", "1", "-2", "300000");
        await server.ExecuteAsync("SADD", "set:intset:8", "1", "-2", "30000000000000");
        await server.ExecuteAsync("SADD", "set:words", "a", "b", "c", "4");
        await server.ExecuteAsync(["SADD", "set:numbers", .. Enumerable.Range(0, 1000).Select(static i => (object)(i * 1_000_003))]);

        await server.ExecuteAsync("ZADD", "sorted:short", "-inf", "least", "0", "zero", "-0", "minus zero", "1.5", "b", "+inf", "most",
            "1e300", "large", "12", "twelve");
        await server.ExecuteAsync(["ZADD", "sorted:long",
            .. Enumerable.Range(0, 500).SelectMany(static i => new object[] { (i * 0.1).ToString("R", CultureInfo.InvariantCulture), $"member {i}" }),
            "inf", "most", "-inf", "least"]);

        await server.ExecuteAsync("HSET", "hash:short", "field", "value", "number", "12", "", "");
        await server.ExecuteAsync(["HSET", "hash:long",
            .. Enumerable.Range(0, 700).SelectMany(static i => new object[] { $"field {i}", new string('v', i % 90) })]);
        await server.ExecuteAsync("CONFIG", "SET", "hash-max-listpack-entries", "100000", "hash-max-listpack-value", "10000");
        await server.ExecuteAsync(["HSET", "hash:packed",
            .. Enumerable.Range(0, 40_000).SelectMany(static i => new object[] { $"field {i}", new string('v', i % 300) })]);

        await server.ExecuteAsync("XGROUP", "CREATE", "stream:empty", "group", "$", "MKSTREAM");
        await server.ExecuteAsync("CONFIG", "SET", "stream-node-max-entries", "10");
        for (int i = 1; i <= 95; i++)
        {
            object[] fields = i % 7 == 0 ? ["other", i, "fields", "here"] : ["name", $"entry {i}", "number", i * 1000];
            await server.ExecuteAsync(["XADD", "stream:groups", $"{1000 + (i / 3)}-{i}", .. fields]);
        }

        await server.ExecuteAsync("XDEL", "stream:groups", "1001-4", "1001-5");
        await server.ExecuteAsync("XGROUP", "CREATE", "stream:groups", "readers", "0");
        await server.ExecuteAsync("XGROUP", "CREATE", "stream:groups", "idle", "1010-30", "ENTRIESREAD", "30");
        await server.ExecuteAsync("XREADGROUP", "GROUP", "readers", "first", "COUNT", "20", "STREAMS", "stream:groups", ">");
        await server.ExecuteAsync("XREADGROUP", "GROUP", "readers", "second", "COUNT", "5", "STREAMS", "stream:groups", ">");
        await server.ExecuteAsync("XGROUP", "CREATECONSUMER", "stream:groups", "readers", "third");
        await server.ExecuteAsync("XACK", "stream:groups", "readers", "1000-1", "1000-2");

        await server.ExecuteAsync("FUNCTION", "LOAD", LibraryCode);

        await server.ExecuteAsync("SELECT", "3");
        for (int i = 0; i < 200; i++)
        {
            await server.ExecuteAsync("SET", $"three:{i}", i, "PXAT", Expiry + i);
        }

        await server.ExecuteAsync("SELECT", "15");
        await server.ExecuteAsync("HSET", "fifteen", "field", "value");
        await server.ExecuteAsync("SELECT", "0");
    }

    /// <summary>How many elements the server counts, or null for a string.</summary>
    public static async Task<long> CountAsync(RedisServer server, byte[] key, string type)
    {
        string? command = type switch
        {
            "list" => "LLEN",
            "set" => "SCARD",
            "zset" => "ZCARD",
            "hash" => "HLEN",
            "stream" => "XLEN",
            _ => null,
        };
        return command is null ? 1 : (long)(await server.ExecuteAsync(command, key))!;
    }

    /// <summary>The server's digest of a value and of its expiry.</summary>
    public static async Task<string> DigestAsync(RedisServer server, byte[] key)
    {
        object?[] reply = (object?[])(await server.ExecuteAsync("DEBUG", "DIGEST-VALUE", key))!;
        return reply[0] as string ?? Encoding.ASCII.GetString((byte[])reply[0]!);
    }
}
