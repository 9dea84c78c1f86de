using System.Globalization;
using System.Text;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Redis.Rdb;
using static SmcDr.Core.Tests.Redis.Rdb.RdbBuilder;

namespace SmcDr.Core.Tests.Redis.Restore;

/// <summary>What comes back, and what does not, into a server that is well. The traps are those of restoring Redis that operators fall into.</summary>
public sealed class RedisRestoreTests
{
    private readonly RestoreLab _lab = new();

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Restore_EveryTypeAndEncoding_IsTheSameData(string appendOnly)
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(source);
        string digest = await RestoreLab.DigestAsync(source);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await StartAsync(new() { ["appendonly"] = appendOnly });

        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal(digest, await RestoreLab.DigestAsync(target));
        Assert.Equal(("Complete", true, "0, 3, 15", 1), (result.State, result.Verified, result.Databases, result.Functions));
        Assert.Equal(backup.Header.Redis!.Content!.Keys, result.KeysRestored);
        Assert.Equal(backup.Header.Redis.Content.Bytes, result.SizeBytes);
        Assert.Empty(result.Problems);
        Assert.Equal((0, 0, 0), (result.KeysExpired, result.KeysSkipped, result.KeysFailed));
        Assert.InRange(result.SampledKeys, 200, result.KeysRestored);
        Assert.Equal(0, result.MismatchedKeys);
        Assert.Equal($"localhost:{target.Port}", result.Target);
        await target.ExecuteAsync("FCALL", "one", 0);
        if (appendOnly == "yes")
        {
            await target.StopAsync();
            await target.ResumeAsync();
            Assert.Equal(digest, await RestoreLab.DigestAsync(target));
        }
    }

    [Fact]
    public async Task Restore_EncodingsOfOldVersions_AreWhatTheServerMakesOfThem()
    {
        RdbBuilder builder = new(9);
        foreach ((int index, (RdbEncoding encoding, byte[] payload, _, _)) in RdbSamples.OldValues.Index())
        {
            builder.Key(encoding, $"key{index}", payload);
        }

        BackupReader backup = await _lab.StoreAsync(builder.Build(), "6.2.14");
        await using RedisServer target = await RedisServer.StartAsync();
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal(("Complete", true), (result.State, result.Verified));
        foreach ((int index, (_, _, object[] question, string[] answer)) in RdbSamples.OldValues.Index())
        {
            object?[] reply = (object?[])(await target.ExecuteAsync([question[0], $"key{index}", .. question[2..]]))!;
            string[] found = [.. Flatten(reply)];
            // Sets and hashes have no order.
            int each = question[0] switch { "SMEMBERS" => 1, "HGETALL" => 2, _ => answer.Length };
            Assert.Equal(
                answer.Chunk(each).Select(static part => string.Join(' ', part)).Order(StringComparer.Ordinal),
                found.Chunk(each).Select(static part => string.Join(' ', part)).Order(StringComparer.Ordinal));
        }

        // The zipmaps and nothing else cannot be compared by value.
        Assert.Equal(RdbSamples.OldValues.Count(static value => value.Encoding != RdbEncoding.HashZipmap), result.SampledKeys);
    }

    [Fact]
    public async Task Trap7310_KeysWhoseTimeHasPassed_AreLeftOutAndCounted()
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        RdbBuilder builder = new();
        Expiring(builder, now - 1, "gone");
        // Zero would mean for ever to RESTORE.
        Expiring(builder, 0, "gone in 1970");
        Expiring(builder, now + 100_000, "alive");
        BackupReader backup = await _lab.StoreAsync(builder.Key(RdbEncoding.String, "eternal", String("x")).Build());
        await using RedisServer target = await RedisServer.StartAsync();

        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal((2, 2, "Complete", true), (result.KeysExpired, result.KeysRestored, result.State, result.Verified));
        Assert.Equal(now + 100_000, await target.ExecuteAsync("PEXPIRETIME", "alive"));
        Assert.Equal(-1L, await target.ExecuteAsync("PEXPIRETIME", "eternal"));
    }

    [Theory]
    [InlineData("allkeys-lru")]
    [InlineData("allkeys-lfu")]
    public async Task Trap7310_UseOfKeys_IsKept(string policy)
    {
        BackupReader backup = await _lab.StoreAsync(new RdbBuilder()
            .Add([248, .. Length(5000)]).Key(RdbEncoding.String, "old", String("x"))
            .Add([249, 200]).Key(RdbEncoding.String, "often", String("x"))
            .Build());
        await using RedisServer target = await StartAsync(new() { ["maxmemory-policy"] = policy });

        // Before Redis 7.2 a key that is compared counts as used.
        Assert.Equal("Complete", (await _lab.RestoreAsync(backup, target, new() { SampleSize = 0 })).State);

        if (policy == "allkeys-lru")
        {
            Assert.InRange((long)(await target.ExecuteAsync("OBJECT", "IDLETIME", "old"))!, 5000, 5100);
        }
        else
        {
            Assert.InRange((long)(await target.ExecuteAsync("OBJECT", "FREQ", "often"))!, 190, 201);
        }
    }

    [Fact]
    public async Task Restore_DatabasesAndPatterns_LeaveOutTheRest()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(source);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();

        RedisRestoreResult result = await _lab.RestoreAsync(backup, target, new() { Databases = [15, 3] });
        Assert.Equal(("3, 15", 201L, 0), (result.Databases, result.KeysRestored, result.Functions));
        Assert.Equal(backup.Header.Redis!.Content!.Keys - 201, result.KeysSkipped);
        Assert.Equal((0, 200), (await CountAsync(target, 0), await CountAsync(target, 3)));
        Assert.Empty((object?[])(await target.ExecuteAsync("FUNCTION", "LIST"))!);

        result = await _lab.RestoreAsync(backup, target, new() { Databases = [0, 3], KeyPatterns = ["set:*", "expiry:?ist", "three:1[0-9]"] });
        string[] keys = [.. ((object?[])(await target.ExecuteAsync("KEYS", "*"))!).Select(static key => Encoding.UTF8.GetString((byte[])key!)).Order(StringComparer.Ordinal)];
        Assert.Equal(["expiry:list", "set:intset:2", "set:intset:4", "set:intset:8", "set:numbers", "set:words"], keys);
        Assert.Equal(keys.Length + 10, result.KeysRestored);
        Assert.Equal(("Complete", true), (result.State, result.Verified));

        SmcException error = await SmcErrorCode.ArgumentInvalid.ThrowsAsync(() => _lab.RestoreAsync(backup, target, new() { Databases = [0, 7], Empty = true }));
        Assert.Contains("no keys in database 7", error.Message, StringComparison.Ordinal);
        Assert.Equal(200, await CountAsync(target, 3));
    }

    [Fact]
    public async Task Restore_ServerHasKeys_ReplacesThoseOfTheBackupAndKeepsOthers()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await source.ExecuteAsync("SET", "both", "from the backup");
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();
        await target.ExecuteAsync("RPUSH", "both", "another type");
        await target.ExecuteAsync("PEXPIRE", "both", 100_000);
        await target.ExecuteAsync("SET", "other", "stays");

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(target.Port));
        Assert.Equal((true, 2L, 1L), (plan.ReplacesData, plan.TargetKeyCount, plan.KeyCount));
        Assert.Contains("It has 2 keys: those that are in the backup are replaced, the others stay.", plan.Describe());
        Assert.Equal("Complete", (await _lab.RestoreAsync(backup, target)).State);

        Assert.Equal("from the backup"u8.ToArray(), await target.ExecuteAsync("GET", "both"));
        Assert.Equal(-1L, await target.ExecuteAsync("TTL", "both"));
        Assert.Equal("stays"u8.ToArray(), await target.ExecuteAsync("GET", "other"));
    }

    [Fact]
    public async Task Restore_Empty_RemovesWhatIsNotInTheBackup()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await source.ExecuteAsync("SET", "k", "v");
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(target, 1000);
        await target.ExecuteManyAsync([["SELECT", "5"], ["SET", "five", "x"], ["SELECT", "0"]]);

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(target.Port), new() { Empty = true, Databases = [0] });
        Assert.Contains("Before that, remove the 1,000 keys of database 0 (FLUSHDB).", plan.Describe());
        Assert.Equal(1001, await CountAsync(target, 0) + await CountAsync(target, 5));

        await _lab.RestoreAsync(backup, target, new() { Empty = true, Databases = [0] });
        Assert.Equal((1, 1), (await CountAsync(target, 0), await CountAsync(target, 5)));

        plan = await _lab.PlanAsync(backup, RestoreLab.Connect(target.Port), new() { Empty = true });
        Assert.Contains("Before that, remove all 2 keys of the server (FLUSHALL).", plan.Describe());
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target, new() { Empty = true });
        Assert.Equal((1, 0), (await CountAsync(target, 0), await CountAsync(target, 5)));
        Assert.Equal(await RestoreLab.DigestAsync(source), await RestoreLab.DigestAsync(target));
        Assert.Equal(true, result.Verified);
    }

    [Fact]
    public async Task Plan_WhateverIsAsked_ChangesNothing()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(source);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(target, 100);
        string digest = await RestoreLab.DigestAsync(target);
        long changes = await target.InfoNumberAsync("persistence", "rdb_changes_since_last_save");

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(target.Port), new() { Empty = true });

        Assert.Contains(plan.Describe(), static line => line.StartsWith("Restore ", StringComparison.Ordinal) && line.Contains("Redis 7.0.15", StringComparison.Ordinal));
        Assert.Contains("Replace the libraries of functions sample.", plan.Describe());
        Assert.Equal(digest, await RestoreLab.DigestAsync(target));
        Assert.Equal(changes, await target.InfoNumberAsync("persistence", "rdb_changes_since_last_save"));
        Assert.Empty((object?[])(await target.ExecuteAsync("FUNCTION", "LIST"))!);
    }

    [Fact]
    public async Task Trap7311_Functions_AreReplacedAndAConflictIsPartial()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await source.ExecuteAsync("FUNCTION", "LOAD", RedisSampleData.LibraryCode);
        await source.ExecuteAsync("SET", "k", "v");
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();
        await target.ExecuteAsync("FUNCTION", "LOAD", "#!lua name=sample\nredis.register_function('one', function() return 2 end)\n");
        Assert.Equal(("Complete", 1), (await _lab.RestoreAsync(backup, target)) is var done ? (done.State, done.Functions) : default);
        Assert.Equal(1L, await target.ExecuteAsync("FCALL", "one", 0));

        await target.ExecuteAsync("FUNCTION", "FLUSH");
        await target.ExecuteAsync("FUNCTION", "LOAD", "#!lua name=another\nredis.register_function('one', function() return 3 end)\n");
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);
        Assert.Equal(("Partial", 0, 1L, false), (result.State, result.Functions, result.KeysRestored, result.Verified));
        Assert.Contains("sample", Assert.Single(result.Problems), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Restore_ValueOfManyBlocks_IsStreamed(int parallelism)
    {
        await using RedisServer source = await RedisServer.StartAsync();
        byte[] noise = new byte[13_000_000];
        new Random(3).NextBytes(noise);
        // On both sides of it and behind it small ones, and two more large ones that meet in one block.
        await source.ExecuteManyAsync(
        [
            ["SET", "before", "x"], ["SET", "large", noise, "PXAT", RedisSampleData.Expiry], ["SET", "after", "x"],
            ["SET", "second", noise[..2_000_000]], ["SET", "third", noise[..1_100_000]],
            ["RPUSH", "list", .. noise.Chunk(1000).Take(3000)],
        ]);
        await RestoreLab.FillAsync(source, 3000);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();

        RedisRestoreResult result = await _lab.RestoreAsync(backup, target, new() { Parallelism = parallelism });

        Assert.Equal(await RestoreLab.DigestAsync(source), await RestoreLab.DigestAsync(target));
        Assert.Equal((3006, backup.Header.Redis!.Content!.Bytes), (result.KeysRestored, result.SizeBytes));
    }

    [Fact]
    public async Task Restore_ValueLongerThanTheServerTakes_IsReportedAndTheRestIsThere()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        byte[] noise = new byte[3_000_000];
        new Random(3).NextBytes(noise);
        await source.ExecuteAsync("SET", "large", noise);
        await RestoreLab.FillAsync(source, 100);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await StartAsync(new() { ["proto-max-bulk-len"] = "2mb" });

        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal(("Partial", 100L, 1L, false), (result.State, result.KeysRestored, result.KeysFailed, result.Verified));
        Assert.Contains("'large' of database 0", Assert.Single(result.Problems), StringComparison.Ordinal);
        Assert.Contains("proto-max-bulk-len", result.Problems[0], StringComparison.Ordinal);

        // Who may not read settings finds it out by trying, and goes on.
        await target.ExecuteManyAsync([["FLUSHALL"], ["ACL", "SETUSER", "restore", "on", ">word", "~*", "+@all", "-config"]]);
        result = await _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, new() { Username = "restore" }, "word"));
        Assert.Equal(("Partial", 100L, 1L), (result.State, result.KeysRestored, result.KeysFailed));
        Assert.Contains("the server closes the connection at a value of 3,000,", result.Problems[0], StringComparison.Ordinal);
        Assert.Equal(100, await CountAsync(target, 0));

        // Nor does it matter whether the server's last words come through before the connection is gone.
        await target.ExecuteAsync("FLUSHALL");
        await using SwallowingProxy proxy = new(target.Port);
        result = await _lab.RestoreAsync(backup, RestoreLab.Connect(proxy.Port, new() { Username = "restore" }, "word"));
        Assert.Equal(("Partial", 100L, 1L), (result.State, result.KeysRestored, result.KeysFailed));
        Assert.Contains("the server closes the connection at a value of 3,000,", result.Problems[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Trap737_ModuleThatTheServerDoesNotHave_IsNamedAndTheRestIsThere()
    {
        // The type 'ReJSON-RL' of module version 3.
        byte[] value = [0x81, .. ModuleId("ReJSON-RL", 3), 5, .. String("{}"), 0];
        BackupReader backup = await _lab.StoreAsync(new RdbBuilder()
            .Key(RdbEncoding.Module2, "document:1", value).Key(RdbEncoding.String, "plain", String("x")).Key(RdbEncoding.Module2, "document:2", value).Build());
        await using RedisServer target = await RedisServer.StartAsync();

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(target.Port));
        Assert.Contains(plan.Warnings, static warning => warning.Contains("ReJSON-RL", StringComparison.Ordinal));
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal(("Partial", 1L, 2L, "ReJSON-RL", false), (result.State, result.KeysRestored, result.KeysFailed, result.MissingModules, result.Verified));
        Assert.Contains("2 keys were not taken: the server has no module that knows values of the type 'ReJSON-RL'. The first is 'document:1' of database 0.", result.Problems);
    }

    [Fact]
    public async Task Restore_CollectionWithoutElements_IsLeftOutAsOnLoading()
    {
        BackupReader backup = await _lab.StoreAsync(
            new RdbBuilder().Key(RdbEncoding.Hash, "empty", [0]).Key(RdbEncoding.String, "k", String("")).Build());
        await using RedisServer target = await RedisServer.StartAsync();

        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal(("Complete", 1L, 1L, true), (result.State, result.KeysRestored, result.KeysSkipped, result.Verified));
    }

    [Fact]
    public async Task Trap737_OlderServer_IsGivenWhatItKnowsAndRefusedTheRest()
    {
        await using RedisServer target = await RedisServer.StartAsync();
        // Redis 8 would write this; every value in it is as in Redis 7.0.
        RdbBuilder known = new RdbBuilder(12).Key(RdbEncoding.String, "s", String("x")).Key(RdbEncoding.HashListpack, "h", String(Listpack("f", "v")));
        RedisRestoreResult result = await _lab.RestoreAsync(await _lab.StoreAsync(known.Build(), "7.4.1"), target);
        Assert.Equal(("Complete", 2L, true), (result.State, result.KeysRestored, result.Verified));
        Assert.Equal("v"u8.ToArray(), await target.ExecuteAsync("HGET", "h", "f"));

        BackupReader backup = await _lab.StoreAsync(RdbSamples.NewServer().Build(), "7.4.1");
        foreach (RedisRestoreOptions options in (RedisRestoreOptions[])[new(), new() { Empty = true }])
        {
            SmcException error = await SmcErrorCode.RdbNewer.ThrowsAsync(() => _lab.RestoreAsync(backup, target, options));
            Assert.Contains("1 of the type Set (SetListpack)", error.Message, StringComparison.Ordinal);
            Assert.Contains("1 of the type Stream (StreamListpacks3)", error.Message, StringComparison.Ordinal);
            Assert.Contains("Redis 7.4.1 or later", error.Recommendation, StringComparison.Ordinal);
            Assert.Equal(2, await CountAsync(target, 0));
        }

        // What is not asked for does not matter.
        result = await _lab.RestoreAsync(backup, target, new() { KeyPatterns = ["stream 2"] });
        Assert.Equal(("Complete", 1L, 6L), (result.State, result.KeysRestored, result.KeysSkipped));
        Assert.Equal(2L, await target.ExecuteAsync("XLEN", "stream 2"));
    }

    [Fact]
    public async Task Restore_ClientsWriteMeanwhile_IsSaidAndNoFailure()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(source, 1000);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();
        ActionObserver observer = new(() => target.CliAsync("SET", "a-client", "x").GetAwaiter().GetResult());

        RedisRestoreResult result = await new RedisOnlineRestore(RestoreLab.Connect(target.Port), backup, new()).RunAsync(observer, default);

        Assert.Equal(("Complete", true, 1), (result.State, result.Verified, result.WarningCount));
        Assert.Contains("1 keys that are not from the backup", Assert.Single(observer.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SET key:1 other", 1)]
    [InlineData("PEXPIRE key:1 1000000", 1)]
    [InlineData("DEL key:1", 1)]
    [InlineData("EVAL for_i=1,10_do_redis.call('DEL','key:'..i)redis.call('SADD','key:'..i,'x')end 0", 10)]
    public async Task Restore_ServerHasOtherThanTheBackup_IsFound(string change, int mismatches)
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(source, 100);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await RedisServer.StartAsync();
        string[] command = [.. change.Split(' ').Select(static word => word.Replace('_', ' '))];
        ActionObserver observer = new(() => target.CliAsync(command).GetAwaiter().GetResult());

        RedisRestoreResult result = await new RedisOnlineRestore(RestoreLab.Connect(target.Port), backup, new()).RunAsync(observer, default);

        Assert.Equal(("Partial", false, 100L, (long)mismatches), (result.State, result.Verified, result.SampledKeys, result.MismatchedKeys));
        Assert.Contains(result.Problems, static problem => problem.Contains("not as in the backup", StringComparison.Ordinal));
        Assert.Equal(change.StartsWith("DEL", StringComparison.Ordinal), result.Problems.Any(static problem => problem.Contains("99 keys, and 100 at least", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Restore_KeysExpireMeanwhile_IsNoDifference()
    {
        long soon = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() + 3000;
        RdbBuilder builder = new();
        for (int i = 0; i < 100; i++)
        {
            Expiring(builder.Key(RdbEncoding.String, $"stays:{i}", String("x")), soon, $"goes:{i}");
        }

        BackupReader backup = await _lab.StoreAsync(builder.Build());
        await using RedisServer target = await RedisServer.StartAsync();
        ActionObserver observer = new(() =>
        {
            while ((long)target.ExecuteAsync("DBSIZE").GetAwaiter().GetResult()! > 100)
            {
                Thread.Sleep(20);
            }
        });

        RedisRestoreResult result = await new RedisOnlineRestore(RestoreLab.Connect(target.Port), backup, new()).RunAsync(observer, default);

        Assert.Equal(("Complete", true, 200L), (result.State, result.Verified, result.KeysRestored + result.KeysExpired));
        Assert.Equal(100, result.SampledKeys);
    }

    [Fact]
    public async Task Restore_BackupThatCouldNotBeRead_IsRefused()
    {
        await using RedisServer target = await RedisServer.StartAsync();
        BackupReader backup = await _lab.StoreAsync("REDIS0099"u8.ToArray());
        SmcException error = await SmcErrorCode.RdbUnsupported.ThrowsAsync(() => _lab.RestoreAsync(backup, target));
        Assert.Contains("version 99", error.Message, StringComparison.Ordinal);

        Repository repository = await Repository.OpenAsync(_lab.Store, CancellationToken.None);
        await using BackupWriter writer = await repository.BeginBackupAsync(Component.Redis, "Full", null, null, null, null, CancellationToken.None);
        BackupHeader header = await writer.CompleteAsync(
            "Full", old => old with { Redis = backup.Header.Redis! with { NotExamined = "It is written by Redis 99." } }, CancellationToken.None);
        BackupReader unread = await repository.OpenBackupAsync(Component.Redis, header.Id, CancellationToken.None);
        error = await SmcErrorCode.BackupUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(unread, target, new() { Empty = true }));
        Assert.Contains("Offline", error.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_PackIsMissing_RemovesNothingFromTheServer()
    {
        await using RedisServer target = await RedisServer.StartAsync();
        await target.ExecuteAsync("SET", "k", "v");
        BackupReader backup = await _lab.StoreAsync(new RdbBuilder().Key(RdbEncoding.String, "s", String("x")).Build());
        await _lab.Store.DeleteAsync(_lab.Store.Keys.Single(static key => key.Contains("pack", StringComparison.Ordinal)), CancellationToken.None);

        await SmcErrorCode.ObjectNotFound.ThrowsAsync(() => _lab.RestoreAsync(backup, target, new() { Empty = true }));

        Assert.Equal(1, await CountAsync(target, 0));
    }

    [Fact]
    public async Task Restore_DamageInTheMiddle_SaysWhatTheServerHas()
    {
        await using RedisServer target = await RedisServer.StartAsync();
        RdbBuilder builder = new();
        for (int i = 0; i < 5000; i++)
        {
            builder.Key(RdbEncoding.String, $"key:{i}", String(new string('x', 100)));
        }

        BackupReader backup = await _lab.StoreAsync(Seal([.. builder.BuildOpen(), 200, 255]));

        SmcException error = await SmcErrorCode.RdbInvalid.ThrowsAsync(() => _lab.RestoreAsync(backup, target));

        long there = await CountAsync(target, 0);
        Assert.InRange(there, 1, 5000);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"a part of the backup now: {there:N0} keys."), error.Message, StringComparison.Ordinal);
    }

    private static byte[] ModuleId(string name, int version)
    {
        const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        ulong id = name.Aggregate(0UL, static (id, letter) => (id << 6) | (uint)Letters.IndexOf(letter)) << 10 | (uint)version;
        byte[] bytes = new byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes, id);
        return bytes;
    }

    private static void Expiring(RdbBuilder builder, long milliseconds, string key) =>
        builder.Add([252, .. Milliseconds(milliseconds)]).Key(RdbEncoding.String, key, String("x"));

    private static Task<RedisServer> StartAsync(Dictionary<string, string> settings) =>
        RedisServer.StartAsync(new RedisServerOptions { Settings = settings });

    private static async Task<int> CountAsync(RedisServer server, int database)
    {
        await server.ExecuteAsync("SELECT", database);
        long count = (long)(await server.ExecuteAsync("DBSIZE"))!;
        await server.ExecuteAsync("SELECT", 0);
        return (int)count;
    }

    private static IEnumerable<string> Flatten(IEnumerable<object?> items) =>
        items.SelectMany(static item => item is object?[] inner ? Flatten(inner) : [Encoding.Latin1.GetString((byte[])item!)]);
}
