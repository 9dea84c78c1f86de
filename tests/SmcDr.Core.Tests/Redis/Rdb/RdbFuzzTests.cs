using System.Globalization;
using System.Runtime.ExceptionServices;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>
/// Files that were changed at random, by a seed that a failure names: whatever comes, the reader ends, with the file read or with an
/// error of its own, and with memory in proportion to the file. SMCDR_FUZZ_SECONDS makes it try more than a moment.
/// </summary>
public sealed class RdbFuzzTests
{
    private const int Rounds = 4000;
    private static readonly byte[] s_telling = [0, 1, 3, 5, 62, 63, 64, 127, 128, 129, 0xBF, 0xC0, 0xC2, 0xC3, 0xF0, 0xF4, 0xFA, 0xFC, 0xFE, 0xFF];

    [Fact]
    public Task ReadAsync_HandMadeFileChangedAtRandom_EndsAsItShould() => FuzzAsync(RdbSamples.EveryEncoding());

    [Fact]
    public async Task ReadAsync_FileOfTheServerChangedAtRandom_EndsAsItShould()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(server);
        // The large ones would only make it slow.
        await server.ExecuteAsync("DEL", "string:noise", "string:large", "string:large:repeats", "hash:packed", "hash:long", "list:compressed");
        await FuzzAsync(await server.SaveAsync());
    }

    /// <summary>What a long run found is kept here: seed and round of the hand-made file.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public Task ReadAsync_FileOfOneSeed_EndsAsItShould(int round)
    {
        Try(RdbSamples.EveryEncoding(), round);
        return Task.CompletedTask;
    }

    private static async Task FuzzAsync(byte[] file)
    {
        TimeSpan more = TimeSpan.FromSeconds(
            int.TryParse(Environment.GetEnvironmentVariable("SMCDR_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int seconds) ? seconds : 0);
        DateTime end = DateTime.UtcNow + more;
        int round = 0;
        int read = 0;
        int refused = 0;
        ExceptionDispatchInfo? failure = null;
        // A thread of its own, so that an endless loop is seen from outside.
        Thread thread = new(() =>
        {
            try
            {
                for (; Volatile.Read(ref round) < Rounds || DateTime.UtcNow < end; Interlocked.Increment(ref round))
                {
                    if (Try(file, round))
                    {
                        read++;
                    }
                    else
                    {
                        refused++;
                    }
                }
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        })
        { IsBackground = true };
        thread.Start();
        while (!thread.Join(0))
        {
            int before = Volatile.Read(ref round);
            for (int i = 0; i < 600 && !thread.Join(100); i++)
            {
            }

            Assert.True(thread.Join(0) || Volatile.Read(ref round) > before, $"Round {before} does not end.");
            await Task.Yield();
        }

        if (failure is not null)
        {
            Assert.Fail($"Round {round}: {failure.SourceException}");
        }

        // Both happen, or this proves nothing.
        Assert.True(read > Rounds / 100 && refused > Rounds / 10, $"{read} files were read and {refused} refused.");
    }

    /// <summary>Changes the file as the seed says and reads it; true if it could be read.</summary>
    private static bool Try(byte[] file, int seed)
    {
        Random random = new(seed);
        byte[] changed = Change(file, random);
        RdbReaderOptions options = new()
        {
            KeepPayloads = random.Next(2) == 0,
            MaximumPayload = random.Next(3) switch { 0 => 0, 1 => 500, _ => 1024 * 1024 },
            MaximumPackedLength = random.Next(3) == 0 ? 200 : 32 * 1024 * 1024,
        };
        long before = GC.GetAllocatedBytesForCurrentThread();
        bool whole;
        try
        {
            // All of it is in memory, so nothing is awaited in truth.
            Task<bool> reading = ReadAsync(changed, options);
            Assert.True(reading.IsCompleted);
            whole = reading.GetAwaiter().GetResult();
        }
        catch (SmcException exception) when (exception.Code is SmcErrorCode.RdbInvalid or SmcErrorCode.RdbUnsupported)
        {
            whole = false;
        }

        // What LZF makes of a byte at most, and twice that for room that grows.
        long limit = (4L * 1024 * 1024) + (200L * changed.Length);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, limit);
        return whole;
    }

    private static async Task<bool> ReadAsync(byte[] file, RdbReaderOptions options)
    {
        await using RdbReader reader = new(new MemoryStream(file), options);
        while (await reader.ReadAsync())
        {
            if (options.KeepPayloads)
            {
                long length = 0;
                while (await reader.ReadPayloadAsync() is { Length: > 0 } piece)
                {
                    length += piece.Length;
                }

                Assert.Equal(reader.Entry.Length, length);
            }
        }

        Assert.InRange(reader.Summary.Length, 10, file.Length);
        return true;
    }

    internal static byte[] Change(byte[] file, Random random)
    {
        List<byte> bytes = [.. file.AsSpan(0, file.Length - 8)];
        int changes = random.Next(1, 5);
        for (int i = 0; i < changes && bytes.Count > 20; i++)
        {
            int at = random.Next(9, bytes.Count);
            int length = Math.Min(random.Next(1, 40), bytes.Count - at);
            switch (random.Next(7))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = s_telling[random.Next(s_telling.Length)];
                    break;
                case 2:
                    bytes.RemoveRange(at, length);
                    break;
                case 3:
                    byte[] inserted = new byte[length];
                    random.NextBytes(inserted);
                    bytes.InsertRange(at, inserted);
                    break;
                case 4:
                    int other = random.Next(9, bytes.Count);
                    (bytes[at], bytes[other]) = (bytes[other], bytes[at]);
                    break;
                case 5:
                    bytes.InsertRange(random.Next(9, bytes.Count), bytes.GetRange(at, length));
                    break;
                default:
                    if (random.Next(10) == 0)
                    {
                        bytes.RemoveRange(at, bytes.Count - at);
                    }
                    else
                    {
                        // An enormous length in the place of whatever is there.
                        bytes[at] = 0x81;
                        for (int k = 1; k <= 8 && at + k < bytes.Count; k++)
                        {
                            bytes[at + k] = (byte)(k < 3 ? 0x3F : 0xFF);
                        }
                    }

                    break;
            }
        }

        return random.Next(4) switch
        {
            // Structure alone must see it, or the checksum does, or nothing is left to see it.
            0 => [.. bytes, .. file.AsSpan(file.Length - 8)],
            1 => [.. bytes, .. new byte[8]],
            _ => RdbBuilder.Seal([.. bytes]),
        };
    }
}
