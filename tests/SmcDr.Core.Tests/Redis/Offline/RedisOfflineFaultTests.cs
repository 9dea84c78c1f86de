using SmcDr.Core.Platform;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Redis.Rdb;
using SmcDr.Core.Tests.Redis.Restore;

namespace SmcDr.Core.Tests.Redis.Offline;

/// <summary>What breaks while a backup is restored by the server's files, and what the server has then.</summary>
public sealed class RedisOfflineFaultTests
{
    [Fact]
    public async Task Run_RepositoryFailsInTheMiddle_HasChangedNothing()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync();
        int process = world.FindProcess()!.Id;
        foreach (string pack in world.Store.Keys.Where(static key => key.Contains("pack", StringComparison.Ordinal)).ToArray())
        {
            world.Store[pack].AsSpan(world.Store[pack].Length * 9 / 10).Clear();
        }

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync());

        Assert.True(SmcErrors.IsDamage(error.Code), error.ToString());
        Assert.Equal((process, world.LaterDigest), (world.FindProcess()!.Id, await world.DigestAsync()));
        Assert.Empty(world.Names("smcdr-restore"));
        Assert.Empty(world.Names(".before-"));
    }

    [Theory]
    [InlineData("no", "Begun")]
    [InlineData("yes", "Begun")]
    [InlineData("yes", "Fetched")]
    public async Task Run_ServerKilledWhileTheBackupIsFetched_IsStartedWithIt(string appendOnly, string after)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly });

        RedisRestoreResult result = await world.RunAsync(new RedisOfflineOptions
        {
            AfterStep = step =>
            {
                if (step == after)
                {
                    world.FindProcess()!.End();
                }
            },
        });

        Assert.Equal(("Complete", (bool?)true), (result.State, result.Verified));
        Assert.Equal(world.Digest, await world.DigestAsync());
    }

    /// <summary>As the kernel does it where memory is short.</summary>
    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Run_ServerKilledWhileItLoads_HasItsOldDataBackAndTheSameAgainCompletes(string appendOnly)
    {
        // Ten seconds for all keys: while it loads it can be killed, on whatever machine. Not compressed, so that it answers after each.
        await using OfflineWorld world = await OfflineWorld.CreateAsync(
            new() { ["appendonly"] = appendOnly, ["key-load-delay"] = "250000", ["loading-process-events-interval-bytes"] = "1024", ["rdbcompression"] = "no" },
            fill: static async server =>
            {
                for (int i = 0; i < 40; i++)
                {
                    await server.ExecuteAsync("SET", $"key:{i}", new string('x', 2000));
                }
            });
        Task? killing = null;
        SmcException error = await SmcErrorCode.RestoreUndone.ThrowsAsync(() => world.RunAsync(new RedisOfflineOptions
        {
            AfterStep = step => killing = step == "Placed" ? KillTheNextAsync(world) : killing,
        }));
        await killing!;

        // Whether it was seen before it was killed is left to chance.
        Assert.Contains("does not start: it ", error.Message, StringComparison.Ordinal);
        Assert.Contains("back in", error.Message, StringComparison.Ordinal);
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        Assert.Empty(world.Names(".before-"));
        Assert.Empty(world.Names("smcdr-restore"));

        Assert.Equal("Complete", (await world.RunAsync()).State);
        Assert.Equal(world.Digest, await world.DigestAsync());
    }

    [Theory]
    [InlineData("not this one")]
    [InlineData(null)]
    public async Task Run_WrongPasswordOrNone_IsRefusedAndNotRepeated(string? password)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(password: "s3cret", fill: FillAsync);
        Repository repository = await world.OpenRepositoryAsync();
        RedisOfflineRestore restore = new(
            new RedisConnector(world.Connector.Display, null, _ => ValueTask.FromResult(password)),
            repository,
            await repository.OpenBackupAsync(Component.Redis, world.Backup.Id, CancellationToken.None),
            new RedisOfflineOptions { DataDirectory = world.DataDirectory, ConfigFile = world.Server.ConfigurationPath, BinDirectory = world.BinDirectory });

        SmcException error = await SmcErrorCode.AuthenticationFailed.ThrowsAsync(() => restore.RunAsync(world.Observer, CancellationToken.None));

        Assert.DoesNotContain("not this one", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        Assert.Empty(world.Names("smcdr-restore"));
    }

    /// <summary>The server that starts after the exchange asks for another password than the site file gives.</summary>
    [Fact]
    public async Task Run_PasswordOfTheStoppedServerIsWrong_LeavesTheFilesInPlaceAndSaysSo()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(password: "s3cret", fill: FillAsync);
        await world.KillAsync();
        Repository repository = await world.OpenRepositoryAsync();
        BackupReader backup = await repository.OpenBackupAsync(Component.Redis, world.Backup.Id, CancellationToken.None);
        RedisOfflineOptions options = new() { DataDirectory = world.DataDirectory, ConfigFile = world.Server.ConfigurationPath, BinDirectory = world.BinDirectory };
        RedisConnector wrong = new(world.Connector.Display, null, static _ => ValueTask.FromResult<string?>("not this one"));

        await SmcErrorCode.AuthenticationFailed.ThrowsAsync(
            () => new RedisOfflineRestore(wrong, repository, backup, options).RunAsync(world.Observer, CancellationToken.None));

        Assert.Contains(world.Observer.Warnings, static warning => warning.Contains("were not verified. Run the same command again", StringComparison.Ordinal));
        RedisRestoreResult result = await world.RunAsync(options);
        Assert.Equal(("Complete", (bool?)true), (result.State, result.Verified));
        Assert.Equal(world.Digest, await world.DigestAsync());
    }

    [Fact]
    public async Task Plan_BackupOfANewerVersion_IsRefusedAndBothVersionsNamed()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        SmcException error = await SmcErrorCode.RdbNewer.ThrowsAsync(
            async () => await (await RestoreOfAsync(world, RdbSamples.NewServer().Build(), "7.4.1")).RunAsync(world.Observer, CancellationToken.None));

        Assert.Contains("of Redis 7.4.1 is in version 12", error.Message, StringComparison.Ordinal);
        Assert.Contains("Online", error.Recommendation, StringComparison.Ordinal);
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
    }

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Run_BackupOfAnOlderVersion_IsLoadedAndComparedByValue(string appendOnly)
    {
        RdbBuilder builder = new(9);
        foreach ((int index, (RdbEncoding encoding, byte[] payload, _, _)) in RdbSamples.OldValues.Index())
        {
            builder.Key(encoding, $"key{index}", payload);
        }

        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillAsync);
        RedisOfflineRestore restore = await RestoreOfAsync(world, builder.Build(), "6.2.14");
        RedisRestoreResult result = await restore.RunAsync(world.Observer, CancellationToken.None);

        Assert.Equal(("Complete", (bool?)true, RdbSamples.OldValues.Length), (result.State, result.Verified, result.KeysRestored));
        // The zipmaps and nothing else cannot be compared by value.
        Assert.Equal(RdbSamples.OldValues.Count(static value => value.Encoding != RdbEncoding.HashZipmap), result.SampledKeys);
        Assert.Equal(0, result.MismatchedKeys);
    }

    private static async Task<RedisOfflineRestore> RestoreOfAsync(OfflineWorld world, byte[] rdb, string serverVersion)
    {
        RestoreLab lab = new();
        BackupReader backup = await lab.StoreAsync(rdb, serverVersion);
        return new RedisOfflineRestore(
            world.Connector, await Repository.OpenAsync(lab.Store, CancellationToken.None), backup, new RedisOfflineOptions());
    }

    private static Task FillAsync(RedisServer server) => server.ExecuteAsync("SET", "key", "value");

    /// <summary>Kills the next server of the directory while it is loading.</summary>
    private static Task KillTheNextAsync(OfflineWorld world) => Task.Run(async () =>
    {
        while (true)
        {
            try
            {
                await using RedisTestClient client = await world.Server.ConnectAsync();
                string info = System.Text.Encoding.UTF8.GetString((byte[])(await client.ExecuteAsync("INFO", "persistence"))!);
                Assert.Contains("loading:1", info, StringComparison.Ordinal);
                world.FindProcess()!.End();
                return;
            }
            catch (Exception e) when (e is System.Net.Sockets.SocketException or IOException)
            {
                await Task.Delay(5);
            }
        }
    });
}
