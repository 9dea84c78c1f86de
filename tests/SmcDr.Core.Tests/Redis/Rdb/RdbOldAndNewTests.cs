using System.Text;
using SmcDr.Core.Redis.Rdb;
using static SmcDr.Core.Tests.Redis.Rdb.RdbBuilder;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>
/// Encodings that Redis 7.0 reads and does not write any more, proven by its RESTORE; and encodings of Redis 7.2 and 7.4, which no
/// server here reads, by what their source says.
/// </summary>
public sealed class RdbOldAndNewTests
{
    [Fact]
    public async Task ReadAsync_EncodingsOfOldServers_AreWhatTheServerRestores()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        foreach ((RdbEncoding encoding, byte[] payload, object[] question, string[] answer) in RdbSamples.OldValues)
        {
            byte[] file = new RdbBuilder(9).Key(encoding, "key", payload).Build();
            (List<RdbRecord> records, _) = await RdbRecord.ReadAllAsync(file);
            RdbRecord record = Assert.Single(records);
            Assert.Equal((encoding, "key"), (record.Encoding, record.Name));
            Assert.Equal(payload, record.Payload);

            object?[] replies = await server.ExecuteManyAsync(
            [
                ["RESTORE", "key", 0, RdbDump.Create(encoding, record.Payload, 9), "REPLACE"], question, RedisSampleData.CountCommand(record),
            ]);
            IEnumerable<string> got = Flatten(replies[1]);
            Assert.Equal(answer.Order(StringComparer.Ordinal), got.Order(StringComparer.Ordinal));
            Assert.Equal(replies[2], record.ElementCount);
        }
    }

    [Fact]
    public async Task ReadAsync_MoreElementsThanAHeaderCanCount_AreCounted()
    {
        object[] numbers = [.. Enumerable.Range(0, 70_000).Select(static i => (object)i)];
        (RdbEncoding Encoding, byte[] Payload, long Count)[] values =
        [
            (RdbEncoding.ListZiplist, String(Ziplist(numbers)), 70_000),
            (RdbEncoding.HashListpack, String(Listpack(numbers)), 35_000),
        ];
        await using RedisServer server = await RedisServer.StartAsync();
        foreach ((RdbEncoding encoding, byte[] payload, long count) in values)
        {
            (List<RdbRecord> records, _) = await RdbRecord.ReadAllAsync(new RdbBuilder(10).Key(encoding, "key", payload).Build());
            RdbRecord record = Assert.Single(records);
            Assert.Equal(count, record.ElementCount);
            await server.ExecuteAsync("RESTORE", "key", 0, RdbDump.Create(encoding, payload, 10), "REPLACE");
            Assert.Equal(count, await server.ExecuteAsync([.. RedisSampleData.CountCommand(record)]));
        }
    }

    [Fact]
    public async Task ReadAsync_StreamOfAnOldServer_KeepsItsGroups()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await server.ExecuteAsync("RESTORE", "key", 0, RdbDump.Create(RdbEncoding.StreamListpacks, RdbSamples.Stream(1), 9));
        Assert.Equal(["1", "1000-0", "1000-0", "consumer", "1"], Flatten(await server.ExecuteAsync("XPENDING", "key", "group")));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(6)]
    [InlineData(8)]
    public async Task ReadAsync_FileOfAnOldVersion_IsWhatTheServerLoads(int version)
    {
        // Seconds and no milliseconds, as before RDB 3; and no checksum before RDB 5.
        RdbBuilder builder = new RdbBuilder(version).Add(254, 0).Add(253, 0x00, 0xF0, 0x5A, 0x7F).Key(RdbEncoding.String, "expires", String("x"))
            .Key(RdbEncoding.HashZipmap, "hash", String(Zipmap(("a", "b")))).Add(254, 2).Key(RdbEncoding.List, "list", [1, 1, (byte)'e']);
        byte[] file = version < 5 ? [.. builder.BuildOpen(), 255] : builder.Build();
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(file);
        Assert.Equal(["expires", "hash", "list"], records.Select(static record => record.Name));
        Assert.Equal(2_136_666_112_000, records[0].ExpiresAt);
        Assert.Equal(version < 5 ? RdbChecksumState.Absent : RdbChecksumState.Verified, summary.Checksum);

        await using RedisServer server = await RedisServer.StartAsync();
        await server.StopAsync();
        await File.WriteAllBytesAsync(server.DumpPath, file);
        await server.ResumeAsync();
        object?[] replies = await server.ExecuteManyAsync([["DBSIZE"], ["PEXPIRETIME", "expires"], ["HGET", "hash", "a"], ["SELECT", 2], ["DBSIZE"]]);
        Assert.Equal(summary.Databases.Select(static database => (object?)database.Keys), [replies[0], replies[4]]);
        Assert.Equal(records[0].ExpiresAt, replies[1]);
        Assert.Equal("b"u8.ToArray(), (byte[]?)replies[2]);
    }

    [Fact]
    public async Task ReadAsync_EncodingsOfNewServers_AreWalkedAsTheirSourceSays()
    {
        byte[] file = RdbSamples.NewServer().Build();
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(file);
        Assert.Equal([4L, 2, 2, 2, 2, 1, 1], records.Select(static record => record.ElementCount));
        Assert.Equal(
            [RdbValueType.Set, RdbValueType.Stream, RdbValueType.Stream, RdbValueType.Hash],
            records.Select(static record => record.Type).Take(4));
        Assert.All(records.Skip(3), static record => Assert.Equal(RdbValueType.Hash, record.Type));
        Assert.True(summary.HasSlots);
        Assert.Equal(("7.4.1", 12, RdbChecksumState.Verified), (summary.RedisVersion, summary.Version, summary.Checksum));
    }

    [Fact]
    public async Task ReadAsync_ModulesOfNobodyHere_AreSkippedByTheirOpcodes()
    {
        // Nine letters of six bits and a version: "ReJSON-RL" of version 3.
        const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        ulong id = "ReJSON-RL".Aggregate(0ul, static (id, letter) => (id << 6) | (uint)Letters.IndexOf(letter, StringComparison.Ordinal)) << 10 | 3;
        byte[] parts =
        [
            1, .. Length(5), 2, .. Length(ulong.MaxValue), 3, 0, 0, 0x80, 0x3F, 4, .. new byte[8], 5, .. String("text"), 5, 0xC0, 7,
            5, .. Compressed(Encoding.ASCII.GetBytes(RdbSamples.LongText)), 0,
        ];
        byte[] file = new RdbBuilder(9)
            .Add([247, .. Length(id), 2, 2, .. parts])
            .Key(RdbEncoding.Module2, "document", [.. Length(id), .. parts])
            .Key(RdbEncoding.String, "after", String("x"))
            .Build();
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(file);
        Assert.Equal(["document", "after"], records.Select(static record => record.Name));
        Assert.Null(records[0].ElementCount);
        Assert.Equal("ReJSON-RL", Assert.Single(summary.ModuleTypes));
    }

    private static IEnumerable<string> Flatten(object? reply) => reply switch
    {
        object?[] items => items.SelectMany(Flatten),
        byte[] bytes => [Encoding.Latin1.GetString(bytes)],
        _ => [string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{reply}")],
    };
}
