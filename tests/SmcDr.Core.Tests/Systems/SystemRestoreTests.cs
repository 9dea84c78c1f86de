using System.Text.Json;
using SmcDr.Core.Plans;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.EndToEnd;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Systems;

/// <summary>A system of this host is destroyed and comes back by one command.</summary>
public sealed class SystemRestoreTests(ITestOutputHelper output)
{
    private const int Kills = 10;

    private static readonly string[] s_restore = ["system", "restore", "--yes"];

    [Fact]
    public async Task Restore_DestroyedSystem_ComesBackWholeByOneCommand()
    {
        await using HostSystem system = await HostSystem.StartAsync();
        await system.BackUpAsync();
        await system.Database.ExecuteAsync("INSERT INTO trades SELECT i, 'after the backup' FROM generate_series(20001, 20100) AS i");
        await system.FlushAsync();
        (string rows, string keys) = (await system.DigestAsync(), await system.KeysAsync());
        await system.DestroyAsync();

        JsonElement planned = await system.JsonAsync("system", "restore", "--dry-run");
        Assert.Equal(
            ["assess", "restore-database", "restore-redis", "restore-filestore-config", "verify", "measure"],
            planned.EnumerateArray().Select(static step => step.GetProperty("step").GetString()));
        Assert.All(planned.EnumerateArray(), static step => Assert.Equal("Pending", step.GetProperty("state").GetString()));
        Assert.Empty(Directory.GetFileSystemEntries(system.Database.DataDirectory));
        Assert.Empty(Directory.GetFileSystemEntries(system.FilesPath));
        Assert.Null(await PlanJournals.FindOpenAsync(await system.OpenAsync(), "orders", null, CancellationToken.None));

        JsonElement done = await system.JsonAsync(s_restore);
        output.WriteLine(string.Join('\n', done.EnumerateArray().Select(static step => $"{step.GetProperty("step")}: {step.GetProperty("detail")}")));
        Assert.All(done.EnumerateArray(), static step => Assert.Equal("Succeeded", step.GetProperty("state").GetString()));
        Assert.Equal(rows, await system.DigestAsync());
        Assert.Equal(keys, await system.KeysAsync());
        Assert.Equal("limit = 10\n", await File.ReadAllTextAsync(Path.Combine(system.FilesPath, "limits.conf")));
        Assert.False(await system.Database.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        string measured = Step(done, "measure").GetProperty("detail").GetString()!;
        Assert.Contains("Database back after", measured, StringComparison.Ordinal);
        Assert.Contains("(objective 15 min, met)", measured, StringComparison.Ordinal);
        JsonElement recovery = Step(done, "measure").GetProperty("recovery");
        Assert.Equal(
            ("orders", "Met", Step(done, "assess").GetProperty("planId").GetString()),
            (recovery.GetProperty("site").GetString(), recovery.GetProperty("verdict").GetString(), recovery.GetProperty("planId").GetString()));
        JsonElement[] parts = [.. recovery.GetProperty("components").EnumerateArray()];
        Assert.Equal(
            ["Database Met 900 300", "Redis Met 300 3600", "FileStore   "],
            parts.Select(static part => $"{part.GetProperty("component")} {part.GetProperty("verdict")} {part.GetProperty("rtoSeconds")} {part.GetProperty("rpoSeconds")}"));
        Assert.All(parts, part => Assert.InRange(
            part.GetProperty("recoverySeconds").GetDouble(), 0.001, recovery.GetProperty("durationSeconds").GetDouble()));
        Assert.All(parts, static part => Assert.True(part.GetProperty("lossSeconds").GetDouble() >= 0));
        Assert.All(done.EnumerateArray().SkipLast(1), static step => Assert.Equal(JsonValueKind.Null, step.GetProperty("recovery").ValueKind));
        Assert.Equal(
            3, Directory.GetFiles(Path.Combine(system.RepositoryPath, "recoveries", "orders")).Length);

        // What it took is what the next one is predicted by.
        await system.DestroyAsync();
        JsonElement again = await system.JsonAsync("system", "restore", "--dry-run");
        Assert.True(Step(again, "restore-database").GetProperty("predictedSeconds").GetDouble() > 0);
    }

    [Fact]
    public async Task Restore_ToAnInstantWithoutAJournal_TakesBackupsFromBefore_AndLeavesPartsOut()
    {
        await using HostSystem system = await HostSystem.StartAsync();
        await system.BackUpAsync();
        string rows = await system.DigestAsync();
        string keys = await system.KeysAsync();
        DateTime time = await system.Database.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        await Task.Delay(TimeSpan.FromSeconds(1.1));
        await system.Database.ExecuteAsync("DELETE FROM trades WHERE id % 2 = 0");
        await system.Redis.ExecuteAsync("SET", "later", "than the instant");
        await system.JsonAsync("backup", "redis");
        await system.FlushAsync();
        await system.DestroyAsync();
        string instant = time.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", System.Globalization.CultureInfo.InvariantCulture);

        JsonElement done = await system.JsonAsync(
            [.. s_restore, "--target-time", instant, "--component", "database", "--component", "redis", "--no-journal"]);

        Assert.All(done.EnumerateArray(), static step => Assert.Equal(JsonValueKind.Null, step.GetProperty("planId").ValueKind));
        Assert.Empty(await PlanJournals.ListAsync(await system.OpenAsync(), "orders", 20, CancellationToken.None));
        Assert.DoesNotContain(done.EnumerateArray(), static step => step.GetProperty("step").GetString()!.Contains("filestore", StringComparison.Ordinal));
        Assert.Equal(rows, await system.DigestAsync());
        Assert.Equal(keys, await system.KeysAsync());
        Assert.False(File.Exists(Path.Combine(system.FilesPath, "limits.conf")));
    }

    [Fact]
    public async Task Restore_APartFails_TheOthersGoOn_AndTheSameCommandFinishesIt()
    {
        await using HostSystem system = await HostSystem.StartAsync();
        await system.BackUpAsync();
        await system.FlushAsync();
        (string rows, string keys) = (await system.DigestAsync(), await system.KeysAsync());
        await system.DestroyAsync();
        // Nobody can make a directory where a file is.
        Directory.Delete(system.FilesPath);
        await File.WriteAllTextAsync(system.FilesPath, "in the way");

        (int exitCode, string text, string error) = await system.RunAsync([.. s_restore, "--json"]);
        JsonElement failed = JsonDocument.Parse(text).RootElement;
        output.WriteLine(error);

        Assert.NotEqual(0, exitCode);
        Assert.Contains("goes on with what is not done", error, StringComparison.Ordinal);
        Assert.Equal("Failed", Step(failed, "restore-filestore-config").GetProperty("state").GetString());
        Assert.Equal("Succeeded", Step(failed, "restore-database").GetProperty("state").GetString());
        Assert.Equal("NotReached", Step(failed, "verify").GetProperty("state").GetString());
        Assert.Equal(rows, await system.DigestAsync());

        // Another restore is not begun over it, and what was begun is finished by the same words.
        (int other, string _, string refused) = await system.RunAsync([.. s_restore, "--component", "redis"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.PlanUnfinished).ExitCode, other);
        Assert.Contains("was not finished", refused, StringComparison.Ordinal);
        File.Delete(system.FilesPath);
        JsonElement done = await system.JsonAsync(s_restore);
        Assert.Equal("AlreadyDone", Step(done, "restore-database").GetProperty("state").GetString());
        Assert.Equal("Succeeded", Step(done, "restore-filestore-config").GetProperty("state").GetString());
        Assert.Equal(keys, await system.KeysAsync());
    }

    [Fact]
    public async Task Restore_KilledAtRandomMoments_IsFinishedByTheSameCommand()
    {
        await using HostSystem system = await HostSystem.StartAsync();
        await system.BackUpAsync();
        await system.FlushAsync();
        (string rows, string keys) = (await system.DigestAsync(), await system.KeysAsync());
        TimeSpan whole = TimeSpan.FromSeconds(8);
        int killed = 0;
        while (killed < Kills)
        {
            await system.DestroyAsync();
            bool finished = false;
            for (int round = 0; round < 5 && killed < Kills && !finished; round++)
            {
                using SmcdrProcess process = SmcdrProcess.Start(system.Environment, ["--site", system.SitePath, .. s_restore]);
                TimeSpan moment = whole * Random.Shared.NextDouble();
                await Task.Delay(moment);
                finished = !await process.KillAsync();
                killed += finished ? 0 : 1;
                output.WriteLine($"Kill {killed}, round {round}: {(finished ? "had finished" : "killed")} at {moment.TotalMilliseconds:0} ms.");
                if (finished)
                {
                    (int exitCode, string text, string error) = await process.EndAsync();
                    Assert.True(exitCode == 0, error + text);
                }
                else if (HostServer.FindRunning(system.Database.DataDirectory) is not null && await IsOverAsync(system))
                {
                    // Killed between its last record and its end. The same command would be a new restore, which a running server forbids.
                    output.WriteLine("There was nothing left to do.");
                    finished = true;
                }
            }

            if (!finished)
            {
                (int exitCode, string text, string error) = await system.RunAsync(s_restore);
                Assert.True(exitCode == 0, error + text);
            }

            Assert.Equal(rows, await system.DigestAsync());
            Assert.Equal(keys, await system.KeysAsync());
            Assert.Equal("limit = 10\n", await File.ReadAllTextAsync(Path.Combine(system.FilesPath, "limits.conf")));
            Assert.True(await IsOverAsync(system));
        }
    }

    private static async Task<bool> IsOverAsync(HostSystem system) =>
        await PlanJournals.FindOpenAsync(await system.OpenAsync(), "orders", null, CancellationToken.None) is null;

    private static JsonElement Step(JsonElement steps, string key) => steps.EnumerateArray().Single(step => step.GetProperty("step").GetString() == key);
}
