using System.Globalization;
using System.Text;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>The reader beside a real server: what the one says of a file and what the other says of its keys.</summary>
public sealed class RdbServerTests
{
    [Fact]
    public async Task ReadAsync_FileOfTheServer_SaysOfEveryKeyWhatTheServerSays()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(server);
        byte[] file = await server.SaveAsync();
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(file);

        Assert.Equal(RedisSampleData.EncodingsWritten, records.Select(static record => (int)record.Encoding).Distinct().Order());
        Assert.True(records.Single(static record => record.Name == "string:large").Pieces > 1);
        const int Questions = 5;
        object?[] replies = await server.ExecuteManyAsync([.. records.SelectMany(static record => new object[][]
        {
            ["SELECT", record.Database],
            ["TYPE", record.Key],
            ["PEXPIRETIME", record.Key],
            RedisSampleData.CountCommand(record),
            ["DUMP", record.Key],
        })]);
        foreach ((int index, RdbRecord record) in records.Index())
        {
            object?[] answers = replies[(index * Questions)..((index + 1) * Questions)];
            Assert.Equal(TypeName(record.Type), answers[1]);
            Assert.Equal(answers[2], record.ExpiresAt ?? -1);
            Assert.Equal(answers[3], record.ElementCount);

            // DUMP writes a value as a save does, and with the same version.
            Assert.Equal((byte[]?)answers[4], RdbDump.Create(record.Encoding, record.Payload, summary.Version));
        }

        Assert.Equal(10, summary.Version);
        Assert.Equal(file.Length, summary.Length);
        Assert.Equal(RdbChecksumState.Verified, summary.Checksum);
        Assert.Equal([0, 3, 15], summary.Databases.Select(static database => database.Database));
        foreach (RdbDatabaseSummary database in summary.Databases)
        {
            await server.ExecuteAsync("SELECT", database.Database);
            Assert.Equal((long)(await server.ExecuteAsync("DBSIZE"))!, database.Keys);
            Assert.Equal(database.Keys, database.Types.Sum(static type => type.Keys));
            Assert.Equal(database.Bytes, database.Types.Sum(static type => type.Bytes));
        }

        Assert.Equal(202, summary.KeysWithExpiry);
        Assert.Equal(0, summary.EmptyKeys);
        Assert.Equal("7.0.15", summary.RedisVersion);
        Assert.InRange(summary.CreatedAt!.Value, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.True(summary.UsedMemory > 1_000_000);
        Assert.False(summary.IsAppendOnlyBase);
        RdbFunctionLibrary library = Assert.Single(summary.Functions);
        Assert.Equal(("sample", "lua", RedisSampleData.LibraryCode),
            (library.Name, library.Engine, Encoding.UTF8.GetString(library.Code.Span)));
    }

    [Fact]
    public async Task Dump_RestoredUnderAnotherName_IsTheSameValue()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(server);
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(await server.SaveAsync());
        const int Commands = 3;
        object?[] replies = await server.ExecuteManyAsync([.. records.SelectMany(record =>
        {
            byte[] copy = [.. "restored:"u8, .. record.Key];
            byte[] dump = RdbDump.Create(record.Encoding, record.Payload, summary.Version);
            return new object[][]
            {
                ["SELECT", record.Database],
                ["RESTORE", copy, record.ExpiresAt ?? 0, dump, "ABSTTL"],
                ["DEBUG", "DIGEST-VALUE", record.Key, copy],
            };
        })]);
        foreach ((int index, RdbRecord record) in records.Index())
        {
            object?[] digests = (object?[])replies[(index * Commands) + 2]!;
            Assert.Equal(40, Text(digests[0]).Length);
            Assert.True(Text(digests[0]) == Text(digests[1]), record.Name);
        }

        // Groups and pending entries are not in the digest.
        await server.ExecuteAsync("SELECT", "0");
        foreach (string stream in (string[])["stream:groups", "stream:empty"])
        {
            // Nothing in the answer may follow the clock, so not the idle time of consumers.
            foreach (string[] question in (string[][])
                [["XINFO", "GROUPS"], ["XPENDING", "readers"], ["XLEN"], ["XRANGE", "-", "+"]])
            {
                if (question[0] == "XPENDING" && stream == "stream:empty")
                {
                    continue;
                }

                object[] Ask(string key) => [question[0], .. question[0] == "XINFO" ? [question[1], key] : (object[])[key, .. question.Skip(1)]];
                Assert.Equal(
                    Text(await server.ExecuteAsync(Ask(stream))), Text(await server.ExecuteAsync(Ask("restored:" + stream))));
            }
        }
    }

    [Fact]
    public async Task ReadAsync_ServerThatEvictsByUse_SaysHowOftenAndWhenKeysWereUsed()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Settings = new Dictionary<string, string> { ["maxmemory-policy"] = "allkeys-lru", ["maxmemory"] = "1gb" },
        });
        await server.ExecuteAsync("SET", "key", "value");
        byte[] dump = (byte[])(await server.ExecuteAsync("DUMP", "key"))!;
        await server.ExecuteAsync("RESTORE", "old", 0, dump, "IDLETIME", 5000);
        (List<RdbRecord> records, _) = await RdbRecord.ReadAllAsync(await server.SaveAsync());
        Assert.InRange(records.Single(static record => record.Name == "old").IdleSeconds!.Value, 5000, 5100);
        Assert.All(records, static record => Assert.Null(record.Frequency));

        await server.ExecuteAsync("FLUSHALL");
        await server.ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu");
        await server.ExecuteAsync("RESTORE", "often", 0, dump, "FREQ", 200);
        (records, _) = await RdbRecord.ReadAllAsync(await server.SaveAsync());
        Assert.Equal((byte)200, Assert.Single(records).Frequency);
        Assert.Null(records[0].IdleSeconds);
    }

    [Fact]
    public async Task ReadAsync_KeysThatExpired_AreCountedForTheInstantAskedFor()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await server.ExecuteAsync("DEBUG", "SET-ACTIVE-EXPIRE", "0");
        long now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        for (int i = 0; i < 10; i++)
        {
            await server.ExecuteAsync("SET", $"soon:{i}", "x", "PXAT", now + 60_000 + i);
        }

        await server.ExecuteAsync("SET", "stays", "x");
        byte[] file = await server.SaveAsync();
        DateTimeOffset instant = DateTimeOffset.FromUnixTimeMilliseconds(now + 60_005);
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(file, new RdbReaderOptions { ExpiryInstant = instant });
        Assert.Equal((11L, 10L, 5L), (summary.Keys, summary.KeysWithExpiry, summary.ExpiredKeys));
        Assert.Equal(5, records.Count(record => record.ExpiresAt < instant.ToUnixTimeMilliseconds()));
    }

    [Fact]
    public async Task ReadAsync_BaseOfAnAppendOnlyFile_IsKnownAsSuch()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Settings = new Dictionary<string, string> { ["appendonly"] = "yes" },
        });
        await server.ExecuteAsync("SET", "key", "value");
        await server.ExecuteAsync("BGREWRITEAOF");
        while (await server.InfoNumberAsync("persistence", "aof_rewrite_in_progress") != 0
            || await server.InfoNumberAsync("persistence", "aof_rewrite_scheduled") != 0)
        {
            await Task.Delay(10);
        }

        string path = Assert.Single(Directory.GetFiles(Path.Combine(server.DataDirectory, "appendonlydir"), "*.base.rdb"));
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(await File.ReadAllBytesAsync(path));
        Assert.True(summary.IsAppendOnlyBase);
        Assert.Equal("key", Assert.Single(records).Name);
    }

    [Fact]
    public async Task ReadAsync_ServerWithoutChecksums_SaysSo()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Settings = new Dictionary<string, string> { ["rdbchecksum"] = "no" },
        });
        await server.ExecuteAsync("SET", "key", "value");
        (_, RdbSummary summary) = await RdbRecord.ReadAllAsync(await server.SaveAsync());
        Assert.Equal(RdbChecksumState.SwitchedOff, summary.Checksum);
    }

    private static string TypeName(RdbValueType type) => type switch
    {
        RdbValueType.SortedSet => "zset",
        _ => type.ToString().ToLowerInvariant(),
    };

    private static string Text(object? reply) => reply switch
    {
        null => "nil",
        byte[] bytes => Encoding.Latin1.GetString(bytes),
        object?[] items => $"[{string.Join(", ", items.Select(Text))}]",
        _ => Convert.ToString(reply, CultureInfo.InvariantCulture)!,
    };
}
