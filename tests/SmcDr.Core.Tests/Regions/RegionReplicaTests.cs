using System.Text.Json;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Redis;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Standbys that are made from the repository, on real servers.</summary>
public sealed class RegionReplicaTests
{
    [Fact]
    public async Task Init_FromTheRepository_StreamsAndASecondRunChangesNothing()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT 'after the backup' FROM generate_series(1, 10)");

        (int exitCode, string output, string _) = await lab.RunAsync("region", "init", "--dry-run", "--program", "true");
        Assert.Equal(0, exitCode);
        Assert.Contains("Make the slot 'smcdr_regions_west'", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(lab.WestDirectory));
        Assert.Equal(0L, await lab.Primary.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'smcdr_regions_west'"));

        JsonElement made = (await lab.SucceedAsync(lab.InitArguments()))[0];
        Assert.Equal("Created", made.GetProperty("state").GetString());
        Assert.Equal("Streaming", made.GetProperty("link").GetString());
        await lab.UntilWestHasAsync(2010);
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('streamed')");
        await lab.UntilWestHasAsync(2011);

        // The password is in a file that the account alone can read, and nowhere else.
        string configuration = await File.ReadAllTextAsync(Path.Combine(lab.WestDirectory, "postgresql.auto.conf"));
        Assert.DoesNotContain(lab.Primary.Password, configuration, StringComparison.Ordinal);
        Assert.Contains(lab.Primary.Password, await File.ReadAllTextAsync(lab.WestDirectory + ".pgpass"), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(lab.WestDirectory + ".pgpass"));

        JsonElement again = (await lab.SucceedAsync(lab.InitArguments()))[0];
        Assert.Equal("Unchanged", again.GetProperty("state").GetString());
        Assert.Equal(0, again.GetProperty("changes").GetArrayLength());
        Assert.Equal(configuration, await File.ReadAllTextAsync(Path.Combine(lab.WestDirectory, "postgresql.auto.conf")));

        JsonElement west = await lab.LookAsync("west");
        Assert.Equal("Standby", west.GetProperty("actualRole").GetString());
        Assert.Equal("Open", west.GetProperty("fencing").GetString());
        Assert.True(west.GetProperty("canTakeOver").GetBoolean());
        Assert.Equal("Streaming", west.GetProperty("replication").GetString());
        Assert.Equal("reserved", west.GetProperty("slotState").GetString());
        Assert.Equal(0, west.GetProperty("obstacles").GetArrayLength());
        Assert.Equal("Primary", (await lab.LookAsync("east")).GetProperty("actualRole").GetString());
    }

    [Fact]
    public async Task Init_LinkIsCutAndTheSlotIsGone_TheStandbyHealsFromTheRepository()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);

        string before = await lab.CutStandbyAsync();
        await lab.Primary.ExecuteAsync("SELECT pg_drop_replication_slot('smcdr_regions_west')");
        string first = await lab.Primary.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_lsn())");
        for (int i = 0; i < 8; i++)
        {
            await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 1000) i");
            await lab.Primary.ExecuteAsync("CHECKPOINT");
        }

        await RegionLab.UntilAsync(
            async () =>
            {
                await lab.Primary.ExecuteAsync("CHECKPOINT");
                return await lab.Primary.ScalarAsync<bool>($"SELECT NOT EXISTS (SELECT FROM pg_ls_waldir() WHERE name = '{first}')");
            },
            "the primary has let go of the WAL");

        // Up to the last row, which lies in a segment that is only begun.
        await lab.UntilWestHasAsync(10000);
        JsonElement cut = await lab.LookAsync("west");
        Assert.Equal("Archive", cut.GetProperty("replication").GetString());
        Assert.True(cut.GetProperty("canTakeOver").GetBoolean());
        Assert.Contains("takes its WAL from the repository", cut.GetProperty("problems")[0].GetString(), StringComparison.Ordinal);

        await lab.JoinStandbyAsync(before);
        JsonElement healed = (await lab.SucceedAsync(lab.InitArguments()))[0];
        Assert.Equal("Changed", healed.GetProperty("state").GetString());
        await lab.UntilWestStreamsAsync("it streams again");
    }

    [Fact]
    public async Task Init_DirectoryOfAnOldServer_IsRefusedAndMadeRightByDelta()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);
        await Fixtures.PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        File.Delete(Path.Combine(lab.WestDirectory, "standby.signal"));
        await File.WriteAllTextAsync(Path.Combine(lab.WestDirectory, "base", "foreign"), "not of the backup");

        (int exitCode, string _, string error) = await lab.RunAsync(lab.InitArguments());
        Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetNotEmpty).ExitCode, exitCode);
        Assert.Contains("--delta", error, StringComparison.Ordinal);

        JsonElement made = (await lab.SucceedAsync(lab.InitArguments("--delta")))[0];
        Assert.Equal("Created", made.GetProperty("state").GetString());
        Assert.True(made.GetProperty("keptBytes").GetInt64() > made.GetProperty("fetchedBytes").GetInt64());
        Assert.False(File.Exists(Path.Combine(lab.WestDirectory, "base", "foreign")));
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('streamed')");
        await lab.UntilWestHasAsync(2001);
    }

    [Fact]
    public async Task Init_KilledAgainAndAgain_IsFinishedByTheSameCommand()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        string journal = Path.Combine(lab.WestDirectory + ".smcdr", "journal");
        int Lines() => File.Exists(journal) ? File.ReadAllBytes(journal).Count(static one => one == '\n') : 0;
        int kills = 0;
        while (true)
        {
            int before = Lines();
            SmcdrProcess process = lab.Start(lab.InitArguments());
            Task<(int ExitCode, string Output, string Error)> end = process.EndAsync();
            // First before there is anything but the slot, then behind each phase that is noted.
            while (!end.IsCompleted && (kills == 0
                ? await lab.Primary.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'smcdr_regions_west'") == 0
                : Lines() <= before))
            {
                await Task.Delay(1);
            }

            if (await process.KillAsync())
            {
                kills++;
                Assert.True(kills < 40, "It does not get on.");
                continue;
            }

            (int exitCode, string output, string error) = await end;
            Assert.True(exitCode == 0, $"{error}\n{output}");
            break;
        }

        Assert.True(kills >= 4, $"{kills} kills");
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('streamed')");
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        Assert.True(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal("Unchanged", (await lab.SucceedAsync(lab.InitArguments()))[0].GetProperty("state").GetString());
    }

    [Fact]
    public async Task Init_ProgramThatCannotFetch_IsFoundOutBeforeAnythingIsThere()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");

        (int exitCode, string _, string error) = await lab.RunAsync("region", "init", "--program", "/nonexistent/smcdr", "--yes");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetUnsuitable).ExitCode, exitCode);
        Assert.Contains("cannot fetch WAL from the repository", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(lab.WestDirectory));
        JsonElement west = await lab.LookAsync("west");
        Assert.Equal("Unreachable", west.GetProperty("actualRole").GetString());
        Assert.False(west.GetProperty("canTakeOver").GetBoolean());
    }

    [Fact]
    public async Task Init_Redis_FollowsAndIsAskedBeforeKeysAreLost()
    {
        await using RedisServer east = await RedisServer.StartAsync(new RedisServerOptions { Password = "east-secret" });
        await using RedisServer west = await RedisServer.StartAsync(new RedisServerOptions { Password = "west-secret" });
        string directory = Directory.CreateTempSubdirectory("smcdr-test-regions-").FullName;
        try
        {
            Dictionary<string, string> environment = new() { ["EAST_SECRET"] = "east-secret", ["WEST_SECRET"] = "west-secret" };
            string site = Path.Combine(directory, "smcdr.yaml");
            await File.WriteAllTextAsync(site, $$"""
                name: redis-regions
                repository: { location: "file://{{directory}}/repository" }
                regions:
                  east: { role: primary, redis: { endpoint: "127.0.0.1:{{east.Port}}", password: env:EAST_SECRET } }
                  west: { role: standby, redis: { endpoint: "127.0.0.1:{{west.Port}}", password: env:WEST_SECRET } }
                """);
            await east.ExecuteAsync("SET", "k", "of east");
            await west.ExecuteAsync("SET", "own", "of west");
            // What makes the repository.
            Assert.Equal(0, (await SmcdrProcess.RunAsync(environment, "--site", site, "backup", "redis")).ExitCode);
            string[] init = ["--site", site, "region", "init", "--no-archive", "--yes", "--json"];

            (int exitCode, string _, string error) = await SmcdrProcess.RunAsync(environment, init);
            Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetNotEmpty).ExitCode, exitCode);
            Assert.Contains("1 keys of its own", error, StringComparison.Ordinal);

            (exitCode, string output, error) = await SmcdrProcess.RunAsync(environment, [.. init, "--force"]);
            Assert.True(exitCode == 0, error);
            JsonElement made = JsonDocument.Parse(output).RootElement[0];
            Assert.Equal("Changed", made.GetProperty("state").GetString());
            Assert.Equal("Up", made.GetProperty("link").GetString());
            Assert.DoesNotContain("east-secret", output + error, StringComparison.Ordinal);
            Assert.Contains("role:slave", await west.InfoAsync("replication"), StringComparison.Ordinal);
            await RegionLab.UntilAsync(async () => await west.ExecuteAsync("DBSIZE") is 1L && await west.ExecuteAsync("EXISTS", "k") is 1L, "the key of east");

            (exitCode, output, error) = await SmcdrProcess.RunAsync(environment, init);
            Assert.True(exitCode == 0, error);
            Assert.Equal("Unchanged", JsonDocument.Parse(output).RootElement[0].GetProperty("state").GetString());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
