using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Redis.Offline;

/// <summary>What others do with the server between an interrupted restore and the one that continues it, or takes it back.</summary>
public sealed class RedisOfflineInterruptionTests
{
    /// <summary>The restore was ended before it saw that the server had loaded all, and the server went on.</summary>
    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Undo_ServerHasWrittenToWhatWasRestored_KeepsThat(string appendOnly)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillAsync);
        await KillAfterAsync(world, "Placed");
        await world.Server.KillAsync();
        await world.Server.ResumeAsync();
        await world.CommandAsync("SET", "since", "written since the restore");
        if (appendOnly == "no")
        {
            // Twice: the second file may have the number of the one that the first took the name from.
            await world.CommandAsync("SAVE");
            await world.CommandAsync("SAVE");
        }

        await RedisOfflineRestore.UndoAsync(world.Connector, world.DataDirectory, new RedisOfflineOptions(), world.Observer);

        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        string kept = Path.Combine(world.DataDirectory, Assert.Single(world.Names(".restored-")));
        IEnumerable<string> files = Directory.Exists(kept) ? Directory.GetFiles(kept) : [kept];
        Assert.Contains(files, static file => Encoding.Latin1.GetString(File.ReadAllBytes(file)).Contains("written since the restore", StringComparison.Ordinal));
    }

    /// <summary>By the journal's clock, which began anew with the host, the server seems to have been started before its files were there.</summary>
    [Fact]
    public async Task Run_HostWasRestartedSinceAndRunsForLonger_IsContinued()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        await KillAfterAsync(world, "Placed");
        await world.Server.KillAsync();
        await world.Server.ResumeAsync();
        string path = Path.Combine(world.DataDirectory, OfflineNames.JournalName);
        JsonObject journal = JsonNode.Parse(await File.ReadAllTextAsync(path))!.AsObject();
        journal["placedTicks"] = RedisProcess.HostTicks();
        journal["placedBoot"] = "another";
        await File.WriteAllTextAsync(path, journal.ToJsonString());

        RedisRestoreResult result = await world.RunAsync(OptionsOf(world));

        Assert.Equal(("Complete", (bool?)true), (result.State, result.Verified));
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.Empty(world.Names("smcdr-restore"));
    }

    [Fact]
    public async Task Run_AnotherRestoreWasInterruptedSinceItLooked_IsRefused()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        // So that it has something to warn of, between its look and the lock.
        await world.CommandAsync("SET", "unsaved", "x");
        OtherRestore other = new(world);

        SmcException e = await SmcErrorCode.RestoreUnfinished.ThrowsAsync(
            async () => await (await world.RestoreAsync()).RunAsync(other, CancellationToken.None));

        Assert.True(other.IsDone);
        Assert.Contains("another-backup", e.Message, StringComparison.Ordinal);
        Assert.NotEmpty(world.Names(OfflineNames.JournalName));
    }

    /// <summary>Nobody but the run that started it knows the password of a server that is only there for a look.</summary>
    [Fact]
    public async Task Run_ServerForALookIsLeftFromBefore_IsReplaced()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        await world.Server.KillAsync();
        RedisOfflineOptions options = new()
        {
            DataDirectory = world.DataDirectory, BinDirectory = world.BinDirectory, LoadingTimeout = TimeSpan.FromSeconds(5),
        };
        await KillAfterAsync(world, "Loaded", options);
        int left = world.FindProcess()!.Id;

        RedisRestoreResult result = await world.RunAsync(options);

        Assert.Equal(("Complete", (bool?)true), (result.State, result.Verified));
        Assert.Contains(world.Observer.Verboses, message => message.Contains($"earlier look (process {left})", StringComparison.Ordinal));
        Assert.Null(world.FindProcess());
    }

    [Fact]
    public async Task Run_SomebodyStartedTheServerOfWhichNothingIsKnown_SaysSoAndLeavesIt()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        await world.Server.KillAsync();
        RedisOfflineOptions options = new() { DataDirectory = world.DataDirectory, BinDirectory = world.BinDirectory };
        await KillAfterAsync(world, "Placed", options);
        await world.Server.ResumeAsync();
        int process = world.FindProcess()!.Id;

        SmcException e = await SmcErrorCode.TargetInUse.ThrowsAsync(() => world.RunAsync(options));

        Assert.Contains("was not started by this restore", e.Message, StringComparison.Ordinal);
        Assert.Equal((process, world.Digest), (world.FindProcess()!.Id, await world.DigestAsync()));
        // What the recommendation says.
        await world.Server.KillAsync();
        Assert.Equal("Complete", (await world.RunAsync(options)).State);
    }

    /// <summary>As a supervisor does that is faster than the renames.</summary>
    [Fact]
    public async Task Undo_ServerIsStartedWhileFilesArePutBack_IsEndedAndRunsWithThem()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        await KillAfterAsync(world, "SetAside");
        await world.Server.KillAsync();
        RedisOfflineOptions options = new()
        {
            AfterStep = step =>
            {
                if (step == "Ended" && world.FindProcess() is null)
                {
                    Task.Run(world.Server.ResumeAsync).Wait();
                }
            },
        };

        await RedisOfflineRestore.UndoAsync(world.Connector, world.DataDirectory, options, world.Observer);

        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        Assert.Empty(world.Names("smcdr-restore"));
    }

    [Fact]
    public async Task Run_ServerStartsWithNeitherData_SaysSoAndTheSameAgainCompletes()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillAsync);
        string right = await File.ReadAllTextAsync(world.Server.ConfigurationPath);
        RedisOfflineOptions options = OptionsOf(world) with
        {
            AfterStep = step =>
            {
                if (step == "Stopped")
                {
                    File.AppendAllText(world.Server.ConfigurationPath, "\nno-setting-of-redis yes\n");
                }
            },
        };

        SmcException e = await SmcErrorCode.RestoreUnfinished.ThrowsAsync(() => world.RunAsync(options));

        Assert.Contains("is back in", e.Message, StringComparison.Ordinal);
        Assert.Contains("does not run with it either", e.Message, StringComparison.Ordinal);
        Assert.Empty(world.Names(".before-"));
        await File.WriteAllTextAsync(world.Server.ConfigurationPath, right);
        RedisRestoreResult result = await world.RunAsync(OptionsOf(world));
        Assert.Equal(("Complete", (bool?)true), (result.State, result.Verified));
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.Single(world.Names(".before-"));
        Assert.Empty(world.Names("smcdr-restore"));
    }

    [Theory]
    [InlineData("no", "Ended")]
    [InlineData("no", "TakenAway")]
    [InlineData("no", "Back dump.rdb")]
    [InlineData("yes", "TakenAway")]
    [InlineData("yes", "Back appendonlydir")]
    public async Task Run_GoingBackWasInterrupted_GoesBackAndBeginsAnew(string appendOnly, string step)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillAsync);
        await KillAfterAsync(world, "Placed");
        await Assert.ThrowsAsync<KilledException>(() => RedisOfflineRestore.UndoAsync(
            world.Connector, world.DataDirectory, new RedisOfflineOptions { AfterStep = KillAt(step) }, world.Observer));

        RedisRestoreResult result = await world.RunAsync(OptionsOf(world));

        Assert.Equal(("Complete", (bool?)true), (result.State, result.Verified));
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.Equal(appendOnly == "yes" ? 2 : 1, world.Names(".before-").Count);
        Assert.Empty(world.Names("smcdr-restore"));
    }

    /// <summary>As where the account may not stop services.</summary>
    [Fact]
    public async Task Run_ServiceCannotBeStopped_SavesAsBefore()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["save"] = "3600 1" }, fill: FillAsync);
        int process = world.FindProcess()!.Id;
        // Not systemd: what it would answer.
        string systemctl = Path.Combine(world.Server.RootDirectory, "systemctl");
        await File.WriteAllTextAsync(
            systemctl,
            $$"""
            #!/bin/sh
            case "$1" in
            show) echo LoadState=loaded; echo ActiveState=active; echo 'ExecStart={ path=x ; argv[]={{world.Server.Program}} {{world.Server.ConfigurationPath}} ; ignore_errors=no ; }' ;;
            stop) echo 'Failed to stop redis.service: Access denied' >&2; exit 4 ;;
            esac

            """);
        File.SetUnixFileMode(systemctl, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        SmcException e = await SmcErrorCode.ServerStopFailed.ThrowsAsync(
            () => world.RunAsync(new RedisOfflineOptions { Service = "redis", Systemctl = systemctl }));

        Assert.Contains("Access denied", e.Message, StringComparison.Ordinal);
        Assert.Equal("3600 1", await world.CommandAsync("CONFIG", "GET", "save"));
        Assert.Equal((process, world.LaterDigest), (world.FindProcess()!.Id, await world.DigestAsync()));
        Assert.Empty(world.Names("smcdr-restore"));
    }

    private static RedisOfflineOptions OptionsOf(OfflineWorld world) =>
        new() { DataDirectory = world.DataDirectory, ConfigFile = world.Server.ConfigurationPath, BinDirectory = world.BinDirectory };

    private static Task FillAsync(RedisServer server) => server.ExecuteAsync("SET", "key", "value");

    private static Action<string> KillAt(string wanted) => step =>
    {
        if (step == wanted)
        {
            throw new KilledException();
        }
    };

    /// <summary>As kill -9 does it: nothing of this process goes back, the locks fall, the server stays as it is.</summary>
    private static async Task KillAfterAsync(OfflineWorld world, string step, RedisOfflineOptions? options = null)
    {
        RedisOfflineRestore restore = await world.RestoreAsync((options ?? new RedisOfflineOptions()) with { AfterStep = KillAt(step) });
        await Assert.ThrowsAsync<KilledException>(() => restore.RunWithoutGoingBackAsync(world.Observer, CancellationToken.None));
    }

    /// <summary>When it is first warned, a restore of another backup has begun and was interrupted.</summary>
    private sealed class OtherRestore(OfflineWorld world) : IOperationObserver
    {
        public bool IsDone { get; private set; }

        public void Verbose(string message)
        {
        }

        public void Warning(string message)
        {
            using OfflineDirectory directory = OfflineDirectory.Open(world.DataDirectory);
            directory.WriteJournal(new OfflineJournal
            {
                Phase = OfflinePhase.Begun,
                RepositoryId = Guid.NewGuid(),
                BackupId = "another-backup",
                StartTime = DateTimeOffset.UtcNow,
                Layout = new OfflineLayout
                {
                    DataDirectory = world.DataDirectory, FileName = "dump.rdb", AppendFileName = "appendonly.aof",
                    AppendDirectoryName = "appendonlydir", IsAppendOnly = false, Major = 7,
                },
                Start = new OfflineStart { Program = world.Server.Program, ConfigFile = world.Server.ConfigurationPath },
                WasRunning = true,
                AsideSuffix = ".before-20260101T000000Z",
            });
            IsDone = true;
        }

        public void Progress(OperationProgress progress)
        {
        }
    }

    private sealed class KilledException : Exception;
}
