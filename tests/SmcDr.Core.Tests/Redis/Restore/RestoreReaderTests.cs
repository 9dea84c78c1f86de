using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Tests.Redis.Rdb;
using static SmcDr.Core.Tests.Redis.Rdb.RdbBuilder;

namespace SmcDr.Core.Tests.Redis.Restore;

/// <summary>What is made of an RDB before it is sent, without a server.</summary>
public sealed class RestoreReaderTests
{
    private const int Rounds = 3000;

    [Fact]
    public async Task Trap7310_ClockOfTheServer_DecidesWhatHasExpired()
    {
        byte[] rdb = new RdbBuilder().Add([252, .. Milliseconds(5000)]).Key(RdbEncoding.String, "k", String("x")).Build();
        (List<string> commands, RestoreTally tally, _) = await RunAsync(rdb, now: 4_000);
        Assert.Equal((1, 0), (commands.Count, tally.Expired));
        (commands, tally, _) = await RunAsync(rdb, now: 5_000_000_000_000);
        Assert.Equal((0, 1), (commands.Count, tally.Expired));
    }

    [Fact]
    public async Task RunAsync_TermsOfKeys_AreInTheCommands()
    {
        byte[] rdb = new RdbBuilder()
            .Add([252, .. Milliseconds(RedisSampleData.Expiry)]).Key(RdbEncoding.String, "expires", String("x"))
            .Add([248, .. Length(77)]).Key(RdbEncoding.String, "idle", String("x"))
            .Add([249, 7]).Key(RdbEncoding.String, "often", String("x"))
            // A server has one of the two, and takes one.
            .Add([248, .. Length(77), 249, 7]).Key(RdbEncoding.String, "both", String("x"))
            .Build();
        (List<string> commands, _, _) = await RunAsync(rdb, now: 1);
        Assert.Equal(
            ["expires 4102444800123 13 REPLACE ABSTTL", "idle 0 13 REPLACE IDLETIME 77", "often 0 13 REPLACE FREQ 7", "both 0 13 REPLACE IDLETIME 77"],
            commands);
    }

    /// <summary>SMCDR_FUZZ_SECONDS makes it try more than a moment.</summary>
    [Fact]
    public async Task RunAsync_FileChangedAtRandom_EndsWithCommandsOrAnErrorOfItsOwn()
    {
        byte[] file = RdbSamples.EveryEncoding();
        int seconds = int.TryParse(Environment.GetEnvironmentVariable("SMCDR_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int given) ? given : 0;
        DateTime end = DateTime.UtcNow.AddSeconds(seconds);
        (int whole, int refused) = (0, 0);
        for (int seed = 0; seed < Rounds || DateTime.UtcNow < end; seed++)
        {
            byte[] changed = RdbFuzzTests.Change(file, new Random(seed));
            try
            {
                // What hangs is seen as that.
                (List<string> commands, RestoreTally tally, RestoreSample sample) = await RunAsync(changed, now: 1, seed).WaitAsync(TimeSpan.FromMinutes(1));
                Assert.InRange(sample.Keys.Count, 0, commands.Count);
                Assert.InRange(tally.Expired + tally.Skipped, 0, changed.Length);
                whole++;
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.RdbInvalid or SmcErrorCode.RdbUnsupported)
            {
                refused++;
            }
            catch (Exception e)
            {
                Assert.Fail($"Seed {seed}: {e}");
            }
        }

        Assert.True(whole > Rounds / 100 && refused > Rounds / 10, $"{whole} files were read and {refused} refused.");
    }

    /// <summary>What a server answers may be as hostile as a file: its dumps are taken apart to be compared.</summary>
    [Fact]
    public async Task TryCompute_DumpChangedAtRandom_SaysSoOrNot()
    {
        (List<RdbRecord> records, _) = await RdbRecord.ReadAllAsync(RdbSamples.EveryEncoding());
        int seconds = int.TryParse(Environment.GetEnvironmentVariable("SMCDR_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int given) ? given : 0;
        DateTime end = DateTime.UtcNow.AddSeconds(seconds);
        (int computed, int refused) = (0, 0);
        for (int seed = 0; seed < 20_000 || DateTime.UtcNow < end; seed++)
        {
            Random random = new(seed);
            RdbRecord record = records[random.Next(records.Count)];
            byte[] payload = [.. record.Payload];
            for (int i = random.Next(1, 4); i > 0 && payload.Length > 0; i--)
            {
                int at = random.Next(payload.Length);
                payload = random.Next(3) switch
                {
                    0 => [.. payload[..at], .. payload[random.Next(at, payload.Length)..]],
                    1 => [.. payload[..at], 0x81, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, .. payload[at..]],
                    _ => [.. payload[..at], (byte)random.Next(256), .. payload[(at + 1)..]],
                };
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            bool isComputed = RdbValueDigest.TryCompute((RdbEncoding)random.Next(0, 27), payload, out _) | RdbValueDigest.TryCompute(record.Encoding, payload, out _);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, (1 << 20) + (400L * payload.Length));
            computed += isComputed ? 1 : 0;
            refused += isComputed ? 0 : 1;
        }

        Assert.True(computed > 100 && refused > 1000, $"{computed} were computed and {refused} not.");
    }

    [Fact]
    public void TryCompute_TheSameValueWrittenOtherwise_IsTheSame()
    {
        static UInt128 Digest(RdbEncoding encoding, byte[] payload)
        {
            Assert.True(RdbValueDigest.TryCompute(encoding, payload, out UInt128 digest));
            return digest;
        }

        string text = RdbSamples.LongText;
        UInt128[] lists =
        [
            Digest(RdbEncoding.List, [.. Length(3), .. String("a"), 0xC0, 5, .. Compressed(Encoding.ASCII.GetBytes(text))]),
            Digest(RdbEncoding.ListZiplist, String(Ziplist("a", 5, text))),
            Digest(RdbEncoding.ListQuicklist, [.. Length(2), .. String(Ziplist("a")), .. Compressed(Ziplist(5, text))]),
            Digest(RdbEncoding.ListQuicklist2, [.. Length(2), 2, .. String(Listpack("a", 5)), 1, .. String(text)]),
        ];
        UInt128[] sets =
        [
            Digest(RdbEncoding.Set, [.. Length(3), .. String("7"), .. String("-2"), 0xC1, 0x10, 0x27]),
            Digest(RdbEncoding.SetIntset, String(Intset(2, -2, 7, 10_000))),
            Digest(RdbEncoding.SetListpack, String(Listpack(10_000, 7, -2))),
        ];
        UInt128[] hashes =
        [
            Digest(RdbEncoding.Hash, [.. Length(2), .. String("f"), .. String("1"), .. String("g"), .. String(text)]),
            Digest(RdbEncoding.HashZiplist, String(Ziplist("g", text, "f", 1))),
            Digest(RdbEncoding.HashListpack, Compressed(Listpack("f", 1, "g", text))),
        ];
        UInt128[] sorted =
        [
            Digest(RdbEncoding.SortedSet, [.. Length(3), .. String("a"), .. TextDouble("1.5"), .. String("b"), 254, .. String("c"), .. TextDouble("3")]),
            Digest(RdbEncoding.SortedSet2, [.. Length(3), .. String("c"), .. BitConverter.GetBytes(3.0), .. String("a"), .. BitConverter.GetBytes(1.5),
                .. String("b"), .. BitConverter.GetBytes(double.PositiveInfinity)]),
            Digest(RdbEncoding.SortedSetZiplist, String(Ziplist("a", "1.5", "c", 3, "b", "inf"))),
            Digest(RdbEncoding.SortedSetListpack, String(Listpack("a", "1.5", "c", 3, "b", "inf"))),
        ];
        UInt128[] streams = [Digest(RdbEncoding.StreamListpacks, RdbSamples.Stream(1)), Digest(RdbEncoding.StreamListpacks2, RdbSamples.Stream(2)), Digest(RdbEncoding.StreamListpacks3, RdbSamples.Stream(3))];
        UInt128[][] all = [lists, sets, hashes, sorted, streams];
        Assert.All(all, static same => Assert.Single(same.Distinct()));

        // And others are not.
        UInt128[] others =
        [
            .. all.Select(static same => same[0]),
            Digest(RdbEncoding.List, [.. Length(3), 0xC0, 5, .. String("a"), .. String(text)]),
            Digest(RdbEncoding.Set, [.. Length(2), .. String("7"), .. String("-2")]),
            Digest(RdbEncoding.Hash, [.. Length(2), .. String("g"), .. String("1"), .. String("f"), .. String(text)]),
            Digest(RdbEncoding.SortedSetListpack, String(Listpack("a", "1.5", "c", 3, "b", "-inf"))),
            Digest(RdbEncoding.String, String("a")),
            Digest(RdbEncoding.Set, [.. Length(1), .. String("a")]),
            Digest(RdbEncoding.List, [.. Length(1), .. String("a")]),
        ];
        Assert.Equal(others.Length, others.Distinct().Count());
    }

    /// <summary>Reads a file as a restore does, and takes the commands apart as a server does.</summary>
    private static async Task<(List<string> Commands, RestoreTally Tally, RestoreSample Sample)> RunAsync(byte[] rdb, long now, int seed = 0)
    {
        RestoreNode node = new(new RedisConnector("localhost:1"), RedisInfo.Parse(""), static prefix => prefix);
        RestoreTarget target = new([node], null)
        {
            Display = "localhost:1",
            Clock = new ServerClock(now),
            Writer = new RestoreCommandWriter("RESTORE"u8),
            DumpVersion = 10,
            MaximumValueLength = seed % 3 == 1 ? 1000 : 512 << 20,
            CanCompare = true,
            ExpiryCommand = "PEXPIRETIME",
            Warnings = [],
        };
        RestoreTally tally = new();
        RestoreSample sample = new(seed % 2 == 0 ? 10 : 1000);
        KeySelection selection = seed % 5 == 4 ? new([0], ["s*", "*[a-k]*"]) : new([], []);
        RestoreReader reader = new("The RDB file", selection, target, tally, sample, static _ => { })
        {
            MaximumPayload = seed % 4 == 3 ? 100 : 1 << 20,
        };
        Task<List<string>> taking = TakeAsync(node, reader);
        try
        {
            await reader.RunAsync(PipeReader.Create(new MemoryStream(rdb)), CancellationToken.None);
        }
        finally
        {
            node.Queue.Writer.Complete();
            await taking;
        }

        return (await taking, tally, sample);
    }

    private static async Task<List<string>> TakeAsync(RestoreNode node, RestoreReader reader)
    {
        List<string> commands = [];
        await foreach (RestoreItem item in node.Queue.Reader.ReadAllAsync())
        {
            if (item is not RestoreBatch batch)
            {
                commands.Add(Encoding.Latin1.GetString(((LargeValue)item).Key));
                continue;
            }

            byte[] all = batch.Unanswered.ToArray();
            int at = 0;
            for (int i = 0; i < batch.Count; i++)
            {
                byte[][] arguments = Parse(all, ref at);
                Assert.Equal("RESTORE"u8.ToArray(), arguments[0]);
                Assert.Equal(batch.KeyOf(i).ToArray(), arguments[1]);
                byte[] dump = arguments[3];
                Assert.Equal(batch.DumpOf(i).ToArray(), dump);
                Assert.Equal(RedisCrc64.Append(0, dump.AsSpan(0, dump.Length - 8)), BitConverter.ToUInt64(dump, dump.Length - 8));
                Assert.Equal(10, BitConverter.ToUInt16(dump, dump.Length - 10));
                commands.Add(string.Join(' ', arguments.Skip(1).Select((argument, index) =>
                    index == 2 ? argument.Length.ToString(CultureInfo.InvariantCulture) : Encoding.Latin1.GetString(argument))));
            }

            Assert.Equal(all.Length, at);
            reader.Return(batch);
        }

        return commands;
    }

    private static byte[][] Parse(byte[] bytes, ref int at)
    {
        byte[][] arguments = new byte[Number(bytes, ref at, '*')][];
        for (int i = 0; i < arguments.Length; i++)
        {
            int length = Number(bytes, ref at, '$');
            arguments[i] = bytes[at..(at + length)];
            Assert.Equal("\r\n"u8.ToArray(), bytes[(at + length)..(at + length + 2)]);
            at += length + 2;
        }

        return arguments;
    }

    private static int Number(byte[] bytes, ref int at, char kind)
    {
        Assert.Equal((byte)kind, bytes[at]);
        int end = Array.IndexOf(bytes, (byte)'\r', at);
        int number = int.Parse(bytes.AsSpan(at + 1, end - at - 1), NumberStyles.None, CultureInfo.InvariantCulture);
        at = end + 2;
        return number;
    }
}
