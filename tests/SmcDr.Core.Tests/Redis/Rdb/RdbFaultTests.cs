using System.Text;
using SmcDr.Core.Redis.Rdb;
using static SmcDr.Core.Tests.Redis.Rdb.RdbBuilder;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>Files that are damaged, cut, hostile or merely large.</summary>
public sealed class RdbFaultTests
{
    private const int Megabyte = 1024 * 1024;

    [Fact]
    public async Task ReadAsync_FileCutAnywhere_SaysWhereItEnds()
    {
        byte[] file = RdbSamples.EveryEncoding();
        for (int length = 0; length < file.Length; length++)
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => ReadAsync(file[..length], keep: length % 2 == 0));
            Assert.Equal(SmcErrorCode.RdbInvalid, error.Code);
            Assert.Contains($"ends at byte {length}", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ReadAsync_FileThatComesByteByByte_IsTheSameFile()
    {
        byte[] file = RdbSamples.EveryEncoding();
        (List<RdbRecord> expected, RdbSummary expectedSummary) = await RdbRecord.ReadAllAsync(file);
        foreach (RdbReaderOptions options in (RdbReaderOptions[])[new(), new() { MaximumPayload = 0 }, new() { MaximumPayload = 100 }])
        {
            (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(new TrickleStream(file), options);
            Assert.Equal(expected.Count, records.Count);
            foreach ((RdbRecord wanted, RdbRecord got) in expected.Zip(records))
            {
                Assert.Equal(wanted.Payload, got.Payload);
                Assert.Equal(wanted.Key, got.Key);
                Assert.Equal((wanted.Encoding, wanted.ExpiresAt, wanted.ElementCount), (got.Encoding, got.ExpiresAt, got.ElementCount));
            }

            Assert.Equal((expectedSummary.Keys, expectedSummary.Length, RdbChecksumState.Verified), (summary.Keys, summary.Length, summary.Checksum));
        }
    }

    [Fact]
    public async Task ReadAsync_EveryBitOfASmallFileTurned_IsSeenByTheChecksumAtTheLatest()
    {
        byte[] file = new RdbBuilder().Key(RdbEncoding.Hash, "hash", [1, .. String("field"), .. String("value")]).Build();
        for (int bit = 0; bit < (file.Length - 8) * 8; bit++)
        {
            byte[] damaged = [.. file];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => ReadAsync(damaged));
            Assert.True(error.Code is SmcErrorCode.RdbInvalid or SmcErrorCode.RdbUnsupported);
        }
    }

    [Fact]
    public async Task ReadAsync_WhatFollowsTheDump_IsLeftToTheCaller()
    {
        byte[] file = [.. new RdbBuilder().Key(RdbEncoding.String, "key", String("x")).Build(), .. "*1\r\n"u8];
        await using RdbReader reader = new(new MemoryStream(file));
        RdbSummary summary = await reader.ReadToEndAsync();
        Assert.Equal(file.Length - 4, summary.Length);
        Assert.Equal("*1\r\n"u8.ToArray(), reader.Remainder.ToArray());
        Assert.False(await reader.ReadAsync());
    }

    [Fact]
    public async Task ReadAsync_ZeroAsChecksum_IsSwitchedOffAndNoError()
    {
        byte[] file = new RdbBuilder().Key(RdbEncoding.String, "key", String("x")).BuildWithoutChecksum();
        Assert.Equal(RdbChecksumState.SwitchedOff, (await ReadAsync(file)).Checksum);
    }

    [Fact]
    public async Task ReadAsync_WhatCannotBeRead_IsNamed()
    {
        await RefusedAsync(SmcErrorCode.RdbUnsupported, "version 80", [.. "REDIS0080"u8, 255]);
        await RefusedAsync(SmcErrorCode.RdbUnsupported, "Valkey", [.. "VALKEY080"u8, 255]);
        await RefusedAsync(SmcErrorCode.RdbInvalid, "does not begin", [.. "*3\r\n$3\r\nSET"u8, 255]);
        await RefusedAsync(SmcErrorCode.RdbUnsupported, "nobody but that module", new RdbBuilder(8).Key(RdbEncoding.ModulePreGa, "m", [1]).Build());
        await RefusedAsync(SmcErrorCode.RdbUnsupported, "release candidates", new RdbBuilder(10).Add(246, 0).Build());
        await RefusedAsync(SmcErrorCode.RdbInvalid, "26 is not a type", new RdbBuilder(12).Add(26, 0, 0).Build());
        await RefusedAsync(SmcErrorCode.RdbInvalid, "checksum", [.. new RdbBuilder().Build()[..^1], 1]);
    }

    public static TheoryData<string, byte[]> Lies()
    {
        byte[] enormous = Length(1ul << 62);
        byte[] ziplist = Ziplist("field", "value");
        byte[] listpack = Listpack("field", "value");
        return new TheoryData<string, byte[]>
        {
            { "ends at", [0, .. String("key"), .. enormous, 1, 2, 3] },
            { "more than Redis takes", [0, .. enormous, 1, 2, 3] },
            { "unknown special form", [1, .. String("key"), .. enormous, 1, 2] },
            { "out of range", [4, .. String("key"), .. Length(ulong.MaxValue), 1, 2] },
            { "compressed can hold", [0, .. String("key"), 0xC3, .. Length(10), .. Length(1ul << 40), .. new byte[10]] },
            { "compressed can hold", [0, 0xC3, .. Length(10), .. Length(881), .. new byte[10]] },
            { "decompressed", [0, .. String("key"), 0xC3, .. Length(3), .. Length(264), 0xFF, 0xFF, 0xFF] },
            { "length that it states", [0, .. String("key"), 0xC3, .. Length(2), .. Length(2), 0, 0] },
            { "unknown special form", [15, .. String("key"), .. enormous, .. String(RdbBuilder.StreamId(1, 1))] },
            { "unknown form", [1, .. String("key"), 0x82, 0] },
            { "unknown special form", [0, .. String("key"), 0xC4, 0] },
            { "packed structure", [11, .. String("key"), 0xC0, 0] },
            { "middle of a field", [13, .. String("key"), .. String(Ziplist("field"))] },
            { "not a number", [5, .. String("key"), 1, .. String("m"), .. BitConverter.GetBytes(double.NaN)] },
            { "not a number", [3, .. String("key"), 1, .. String("m"), 253] },
            { "not a number", [3, .. String("key"), 1, .. String("m"), .. TextDouble("1.5x")] },
            { "node of a list", [18, .. String("key"), 1, 3, 0] },
            { "16 bytes", [15, .. String("key"), 1, .. String("short")] },
            { "unknown kind", [7, .. String("key"), 1, 9] },
            { "as many entries", [13, .. String("key"), .. String([.. ziplist[..8], 9, 0, .. ziplist[10..]])] },
            { "length that it states", [13, .. String("key"), .. String([.. ziplist, 0])] },
            { "last entry", [13, .. String("key"), .. String([.. ziplist[..4], 10, 0, .. ziplist[6..]])] },
            { "reaches over", [13, .. String("key"), .. String([.. ziplist[..11], 0x80, 255, 255, 255, 255, .. ziplist[16..]])] },
            { "as many elements", [16, .. String("key"), .. String([.. listpack[..4], 9, 0, .. listpack[6..]])] },
            { "two lengths", [16, .. String("key"), .. String([.. listpack[..12], 5, .. listpack[13..]])] },
            { "as many fields", [9, .. String("key"), .. String([9, .. Zipmap(("a", "b"))[1..]])] },
            { "reaches over", [9, .. String("key"), .. String([1, 254, 255, 255, 255, 255, 1, 0xFF])] },
            { "ascend", [11, .. String("key"), .. String(Intset(2, 2, 1))] },
            { "length that it states", [11, .. String("key"), .. String([2, 0, 0, 0, 255, 255, 255, 255])] },
        };
    }

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task ReadAsync_FileThatLies_IsRefusedWithoutMakingRoomForTheLie(string fault, byte[] content)
    {
        byte[] file = new RdbBuilder(12).Add(content).Build();
        long before = GC.GetAllocatedBytesForCurrentThread();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => ReadAsync(file));
        Assert.Equal(SmcErrorCode.RdbInvalid, error.Code);
        Assert.Contains(fault, error.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2 * Megabyte);
    }

    [Fact]
    public async Task ReadAsync_CollectionWithoutElements_IsSaidToBeEmpty()
    {
        byte[] file = new RdbBuilder(10).Key(RdbEncoding.List, "list", [0]).Key(RdbEncoding.HashZiplist, "hash", String(Ziplist()))
            .Key(RdbEncoding.ListQuicklist, "quick", [.. Length(1), .. String(Ziplist())]).Key(RdbEncoding.String, "string", [0]).Build();
        await using RdbReader reader = new(new MemoryStream(file));
        List<bool> empty = [];
        while (await reader.ReadAsync())
        {
            empty.Add(reader.Entry.IsEmpty);
        }

        Assert.Equal([true, true, true, false], empty);
        Assert.Equal((1L, 3L), (reader.Summary.Keys, reader.Summary.EmptyKeys));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ReadAsync_ValueOf64Megabytes_IsWalkedInConstantMemory(bool keep)
    {
        const int Size = 64 * Megabyte;
        byte[] before = new RdbBuilder().Add([0, .. String("large"), .. Length(Size)]).BuildOpen();
        await using RdbReader reader = new(
            new RepeatStream(before, Size, [255, .. new byte[8]]), new RdbReaderOptions { KeepPayloads = keep });
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        Assert.True(await reader.ReadAsync());
        Assert.Equal(keep, !reader.Entry.IsComplete);
        if (keep)
        {
            Assert.Throws<InvalidOperationException>(() => reader.Payload);
            long length = 0;
            while (await reader.ReadPayloadAsync() is { Length: > 0 } piece)
            {
                Assert.InRange(piece.Length, 1, 2 * Megabyte);
                length += piece.Length;
            }

            Assert.Equal(Size + 5, length);
        }

        Assert.False(await reader.ReadAsync());
        Assert.Equal(Size + 5, reader.Entry.Length);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 8 * Megabyte);
    }

    [Fact]
    public async Task ReadAsync_LongValueThatNobodyAskedFor_IsPassedToTheNextKey()
    {
        byte[] file = new RdbBuilder().Key(RdbEncoding.String, "large", String(new byte[Megabyte])).Key(RdbEncoding.String, "after", String("x")).Build();
        await using RdbReader reader = new(new MemoryStream(file), new RdbReaderOptions { KeepPayloads = true, MaximumPayload = 1000 });
        Assert.True(await reader.ReadAsync());
        Assert.False(reader.Entry.IsComplete);
        Assert.NotEqual(0, (await reader.ReadPayloadAsync()).Length);
        Assert.True(await reader.ReadAsync());
        Assert.Equal("after", Encoding.ASCII.GetString(reader.Entry.Key.Span));
        Assert.Equal(RdbChecksumState.Verified, (await reader.ReadToEndAsync()).Checksum);
    }

    [Fact]
    public async Task ReadAsync_PackedStructureLongerThanMayBeLookedInto_IsPassedUncounted()
    {
        byte[] file = new RdbBuilder().Key(RdbEncoding.HashListpack, "hash", String(Listpack("field", new string('x', 2000))))
            .Key(RdbEncoding.String, "after", String("x")).Build();
        (List<RdbRecord> records, RdbSummary summary) = await RdbRecord.ReadAllAsync(file, new RdbReaderOptions { MaximumPackedLength = 1000 });
        Assert.Null(records[0].ElementCount);
        Assert.Equal(1, summary.StructuresNotChecked);
    }

    private static async Task RefusedAsync(SmcErrorCode code, string part, byte[] file)
    {
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => ReadAsync(file));
        Assert.Equal(code, error.Code);
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    private static async Task<RdbSummary> ReadAsync(byte[] file, bool keep = false)
    {
        await using RdbReader reader = new(new MemoryStream(file), new RdbReaderOptions { KeepPayloads = keep });
        return await reader.ReadToEndAsync();
    }
}
