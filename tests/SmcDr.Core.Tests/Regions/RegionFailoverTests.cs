using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Redis;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Sites that are led to another region, on real servers and by the program itself.</summary>
public sealed partial class RegionFailoverTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Failover_PrimaryIsKilledUnderLoad_NothingThatIsElsewhereIsLostAndTheZombieIsFenced()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");
        SmcdrProcess stream = lab.StartStream();
        await lab.SucceedAsync(lab.InitArguments());
        LoadOfWrites load = new(lab.Primary);
        await load.UntilAsync(200);
        await lab.Primary.KillAsync();
        await load.EndAsync();
        Lsn received = Lsn.Parse(await lab.AskWestAsync<string>("SELECT pg_last_wal_receive_lsn()::text"));

        DateTimeOffset command = DateTimeOffset.UtcNow;
        Task<DateTimeOffset> firstWrite = UntilWrittenAsync(lab.WestConnection);
        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        TellTime(steps, command, await firstWrite);
        Assert.Equal("Succeeded", StateOf(steps, "fence-region"));
        Assert.Equal("Succeeded", StateOf(steps, "promote-database"));
        string report = DetailOf(steps, "report-failover");
        Lsn left = Lsn.Parse(SwitchPattern().Match(report).Groups[1].Value);
        // A record that was cut off is none; what was received whole was replayed.
        Assert.True(received - left < 8192, $"{received} was received, and the timeline begins at {left}.");
        Assert.False(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        HashSet<long> west = await RegionLab.ReadIdsAsync(lab.WestConnection);
        Assert.True(await lab.AskWestAsync<long>("INSERT INTO t (v) VALUES ('in the new region') RETURNING id") > 0);

        // The zombie comes back, and so does its stream.
        await lab.Primary.ResumeAsync();
        HashSet<long> east = await RegionLab.ReadIdsAsync($"{lab.Primary.ConnectionString};Password={lab.Primary.Password}");
        Assert.Subset(east, new HashSet<long>(load.Acknowledged));
        Assert.Equal(east.Except(west).Count(), LostOf(report));
        Assert.Equal(east.Except(west).Count(), Step(steps, "report-failover").GetProperty("failover").GetProperty("lostTransactions").GetInt32());
        Assert.Empty(west.Except(east));
        (int exitCode, string _, string error) = await stream.EndAsync();
        Assert.Equal(SmcErrors.Get(SmcErrorCode.Fenced).ExitCode, exitCode);
        Assert.Contains("'east' is fenced off", error, StringComparison.Ordinal);
        JsonElement zombie = await lab.LookAsync("east");
        Assert.Equal("Fenced", zombie.GetProperty("fencing").GetString());
        Assert.False(zombie.GetProperty("canTakeOver").GetBoolean());
        Assert.Contains("a primary of its own, on timeline 1", zombie.GetProperty("obstacles")[0].GetString(), StringComparison.Ordinal);
        JsonElement leader = await lab.LookAsync("west");
        Assert.Equal("Leads", leader.GetProperty("fencing").GetString());
        Assert.Equal("Primary", leader.GetProperty("role").GetString());
        Assert.Equal("Standby", leader.GetProperty("fileRole").GetString());
        Assert.Contains("The site file calls it standby", leader.GetProperty("problems")[0].GetString(), StringComparison.Ordinal);

        // Nobody has corrected the site file: what is backed up and streamed is of the region that leads.
        JsonElement backup = await lab.SucceedAsync("backup", "database");
        Assert.Equal(2, backup.GetProperty("timeline").GetInt32());
        (exitCode, string _, error) = await lab.RunAsync("wal", "stream", "--once");
        Assert.True(exitCode == 0, error);

        // The same command again changes nothing, and says so.
        steps = await lab.SucceedAsync("region", "failover", "--yes");
        Assert.Equal("AlreadyDone", StateOf(steps, "leads-already"));
        Assert.Contains("'west' leads already, on timeline 2, in epoch 1", DetailOf(steps, "leads-already"), StringComparison.Ordinal);
        Assert.Equal(1L, (await lab.LookAsync("west")).GetProperty("epoch").GetInt64());
    }

    [Fact]
    public async Task Failover_StandbyAndStreamAreBehind_TheLossIsWhatTheIdsShow()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");
        SmcdrProcess stream = lab.StartStream();
        await lab.SucceedAsync(lab.InitArguments());
        await lab.CutStandbyAsync();
        // The standby gets these from the repository, up to a segment that is only begun.
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT 'archived' FROM generate_series(1, 50)");
        await lab.UntilWestHasAsync(2050);
        await stream.KillAsync();
        for (int i = 0; i < 7; i++)
        {
            await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('nowhere else')");
        }

        await lab.Primary.KillAsync();

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        string report = DetailOf(steps, "report-failover");
        Assert.Equal(7, LostOf(report));
        Assert.Equal(2050L, await lab.AskWestAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Failover_WalIsInTheRepositoryAlone_ItIsReplayedBeforeThePromotion()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        // The standby is down while the last WAL goes to the repository, and the primary dies before it is back.
        await Fixtures.PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 3000) i");
        await lab.UntilArchivedAsync();
        await lab.Primary.KillAsync();
        await lab.StartWestAsync();

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        Assert.Equal(0, LostOf(DetailOf(steps, "report-failover")));
        Assert.Equal(5000L, await lab.AskWestAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Failover_StandbyCannotFetchWhatTheRepositoryHas_IsRefusedBeforeThePromotionAndForcedKnowingly()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await lab.SucceedAsync(lab.InitArguments("--no-archive"));
        await lab.UntilWestHasAsync(2000);
        await Fixtures.PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        for (int i = 0; i < 5; i++)
        {
            await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('in the repository')");
        }

        await lab.UntilArchivedAsync();
        await lab.Primary.KillAsync();
        await lab.StartWestAsync();

        (int exitCode, string _, string error) = await lab.RunAsync("region", "failover", "--yes");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.RegionUnsuitable).ExitCode, exitCode);
        Assert.Contains("has no restore_command to fetch it by", error, StringComparison.Ordinal);
        Assert.True(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        // It stands in the way of another, until it is given up knowingly; the region that it was fenced for is led to anew.
        (exitCode, string _, error) = await lab.RunAsync("region", "failover", "--force", "--yes");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.PlanUnfinished).ExitCode, exitCode);
        JsonElement steps = await lab.SucceedAsync("region", "failover", "--force", "--abandon-unfinished", "--yes");
        Assert.Equal("AlreadyDone", StateOf(steps, "fence-region"));
        Assert.Contains("lost, as was accepted by -Force", DetailOf(steps, "drain-wal"), StringComparison.Ordinal);
        Assert.Equal(5, LostOf(DetailOf(steps, "report-failover")));
        Assert.Equal(2000L, await lab.AskWestAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Failover_PrimaryAnswers_IsRefusedAndForcedKnowingly()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);

        (int exitCode, string _, string error) = await lab.RunAsync("region", "failover", "--yes");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.PrimaryAlive).ExitCode, exitCode);
        Assert.Contains("answers, and its WAL ends at", error, StringComparison.Ordinal);
        Assert.Contains("streams from it", error, StringComparison.Ordinal);
        Assert.Equal("Open", (await lab.LookAsync("east")).GetProperty("fencing").GetString());
        Assert.True(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));

        // A rehearsal is held while all is well: the steps are shown, and that they would be refused.
        (exitCode, string rehearsed, error) = await lab.RunAsync("region", "failover", "--dry-run");
        Assert.True(exitCode == 0, error);
        Assert.Contains("Begins epoch 1 for 'west'", rehearsed, StringComparison.Ordinal);
        Assert.Contains("This would be refused now. The primary of the region 'east' gives signs of life", error, StringComparison.Ordinal);

        (exitCode, string planned, error) = await lab.RunAsync("region", "failover", "--force", "--dry-run");
        Assert.DoesNotContain("refused", error, StringComparison.Ordinal);
        Assert.True(exitCode == 0, error);
        Assert.Contains("Begins epoch 1 for 'west'", planned, StringComparison.Ordinal);
        Assert.Equal("Open", (await lab.LookAsync("east")).GetProperty("fencing").GetString());

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--force", "--yes");
        Assert.Equal("It was stopped.", DetailOf(steps, "stop-primary"));
        Assert.Equal("Unreachable", (await lab.LookAsync("east")).GetProperty("actualRole").GetString());
        Assert.Equal(0, LostOf(DetailOf(steps, "report-failover")));
    }

    [Fact]
    public async Task Failover_StandbyThatCannotTakeOver_IsRefusedInWords()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.AskWestAsync<string>("SELECT pg_wal_replay_pause()::text");
        await lab.Primary.KillAsync();

        (int exitCode, string _, string error) = await lab.RunAsync("region", "failover", "--yes");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.RegionUnsuitable).ExitCode, exitCode);
        Assert.Contains("pg_wal_replay_resume()", error, StringComparison.Ordinal);
        (exitCode, string _, error) = await lab.RunAsync("region", "failover", "--planned", "--yes");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.RegionUnsuitable).ExitCode, exitCode);
        Assert.Contains("without a loss", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failover_PlannedUnderLoad_LosesNothingAndComesBack()
    {
        await using RedisServer redisEast = await RedisServer.StartAsync();
        await using RedisServer redisWest = await RedisServer.StartAsync();
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.WriteSiteAsync("east", more: region => $"redis: {{ endpoint: \"127.0.0.1:{(region == "east" ? redisEast : redisWest).Port}\" }}");
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await redisEast.ExecuteAsync("SET", "k", "v");
        await lab.SucceedAsync(lab.InitArguments());
        LoadOfWrites load = new(lab.Primary);
        await load.UntilAsync(200);

        DateTimeOffset command = DateTimeOffset.UtcNow;
        Task<DateTimeOffset> firstWrite = UntilWrittenAsync(lab.WestConnection);
        JsonElement steps = await lab.SucceedAsync("region", "failover", "--planned", "--yes");

        TellTime(steps, command, await firstWrite);
        await load.EndAsync();
        Assert.Contains("Nothing was lost", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        Assert.Subset(await RegionLab.ReadIdsAsync(lab.WestConnection), new HashSet<long>(load.Acknowledged));
        Assert.Equal("It is a master, with all changes of the old one.", DetailOf(steps, "promote-redis"));
        Assert.Equal("OK", (await redisWest.ExecuteAsync("SET", "k2", "v"))?.ToString());
        Assert.True(await lab.AskWestAsync<long>("INSERT INTO t (v) VALUES ('in the new region') RETURNING id") > 0);
        string east = lab.EastConnection;
        const string Follows = "SELECT pg_is_in_recovery() AND EXISTS (SELECT FROM t WHERE v = 'in the new region')";
        await RegionLab.UntilAsync(async () => await RegionLab.AskAsync<bool>(east, Follows), "east follows");

        Assert.Equal(0L, await RegionLab.AskAsync<long>(east, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'smcdr_regions_west'"));

        // Redis follows as well.
        await RegionLab.UntilAsync(async () => await redisEast.ExecuteAsync("EXISTS", "k2") is 1L, "the key of west in east");
        Assert.Contains("role:slave", await redisEast.InfoAsync("replication"), StringComparison.Ordinal);

        // The same again does not lead back.
        steps = await lab.SucceedAsync("region", "failover", "--planned", "--yes");
        Assert.Equal("AlreadyDone", StateOf(steps, "leads-already"));

        // And back, in the same way.
        steps = await lab.SucceedAsync("region", "failover", "--region", "east", "--planned", "--yes");

        Assert.Contains("'east' leads on timeline 3", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        Assert.False(await RegionLab.AskAsync<bool>(east, "SELECT pg_is_in_recovery()"));
        Assert.Equal(2L, (await lab.LookAsync("east")).GetProperty("epoch").GetInt64());
        Assert.Equal("OK", (await redisEast.ExecuteAsync("SET", "k3", "v"))?.ToString());
        await RegionLab.UntilAsync(async () => await redisWest.ExecuteAsync("EXISTS", "k3") is 1L, "the key of east in west");
    }

    [Fact]
    public async Task Failover_MuchIsWrittenBeforeTheStreamFollows_TheArchiveHasNoGap()
    {
        const string Slot = "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = 'smcdr_regions'";
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);
        await lab.UntilArchivedAsync();
        await lab.Primary.KillAsync();

        await lab.SucceedAsync("region", "failover", "--yes");

        // The checkpoint of the promotion lets go of what no slot holds, so the slot must reach back behind the switch.
        string history = await File.ReadAllTextAsync(Path.Combine(lab.WestDirectory, "pg_wal", "00000002.history"));
        Lsn start = Lsn.Parse(history.Split('\t')[1]);
        Lsn kept = Lsn.Parse(await lab.AskWestAsync<string>(Slot));
        Assert.True(kept <= start, $"The slot keeps WAL from {kept} on, and the timeline begins at {start}.");
        await lab.AskWestAsync<long>("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 40000) i RETURNING id");
        await lab.AskWestAsync<bool>("SELECT true FROM pg_switch_wal()");
        await lab.AskWestAsync<string?>("CHECKPOINT");
        Lsn end = Lsn.Parse(await lab.AskWestAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
        await lab.RestartStreamAsync();
        await RegionLab.UntilAsync(
            async () => Lsn.Parse(await lab.AskWestAsync<string>(Slot)) >= end,
            "the repository has the WAL of the new primary");
    }

    [Fact]
    public async Task Failover_PlannedIsTakenBackBeforeThePromotion_TheOldPrimaryServesAgain()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);
        SmcdrProcess process = lab.Start("region", "failover", "--planned", "--yes");
        await RegionLab.UntilAsync(() => Task.FromResult(!File.Exists(Path.Combine(lab.Primary.DataDirectory, "postmaster.pid"))), "the primary is stopped");
        Assert.True(await process.KillAsync());
        string plan = (await lab.SucceedAsync("plan", "list"))[0].GetProperty("planId").GetString()!;
        (int exitCode, string _, string error) = await lab.RunAsync("plan", "undo", plan, "--yes");
        // Where the kill came behind the promotion there is no way back, and nothing is started beside the new primary.
        if (await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"))
        {
            Assert.True(exitCode == 0, error);
            Assert.Equal(0, await lab.AskWestAsync<long>("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'smcdr_regions'"));
            await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('again')");
            await lab.UntilWestHasAsync(2001);
        }
        else
        {
            Assert.Equal(SmcErrors.Get(SmcErrorCode.PlanUnsuitable).ExitCode, exitCode);
        }
    }

    [Fact]
    public async Task Failover_KilledAgainAndAgain_IsFinishedByTheSameCommandWithOnePrimary()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);
        LoadOfWrites load = new(lab.Primary);
        await load.UntilAsync(50);
        await lab.Primary.KillAsync();
        await load.EndAsync();

        IReadOnlyList<string> kills = await KillAgainAndAgainAsync(lab, output, "region", "failover", "--yes");

        Assert.True(kills.Count >= 6, $"{kills.Count} kills");
        Assert.Equal(1L, (await lab.LookAsync("west")).GetProperty("epoch").GetInt64());
        Assert.True(await lab.AskWestAsync<long>("INSERT INTO t (v) VALUES ('in the new region') RETURNING id") > 0);
        Assert.Equal(2, await lab.AskWestAsync<int>("SELECT timeline_id FROM pg_control_checkpoint()"));
        Assert.All((await lab.SucceedAsync("plan", "list")).EnumerateArray(), static plan => Assert.Equal("Succeeded", plan.GetProperty("state").GetString()));
    }

    /// <summary>
    /// Runs a command that is killed again and again, until it ends by itself: behind the beginning of each step, and, where <c>SMCDR_TEST_ROUNDS</c> asks for
    /// long tests, behind each thing that a step has saved.
    /// </summary>
    /// <returns>Where it was killed.</returns>
    internal static async Task<IReadOnlyList<string>> KillAgainAndAgainAsync(RegionLab lab, ITestOutputHelper output, params string[] command)
    {
        List<string> kills = [];
        while (true)
        {
            HashSet<string> seen = [.. lab.FindJournal()];
            SmcdrProcess process = lab.Start(command);
            Task<(int ExitCode, string Output, string Error)> end = process.EndAsync();
            string? point = null;
            while (!end.IsCompleted && point is null)
            {
                point = lab.FindJournal().Where(seen.Add).Select(ReadPoint).FirstOrDefault(entry => entry is not null && !kills.Contains(entry));
                await (point is null ? Task.Delay(1) : Task.CompletedTask);
            }

            if (await process.KillAsync())
            {
                kills.Add(point!);
                Assert.True(kills.Count < 80, "It does not get on.");
                continue;
            }

            (int exitCode, string _, string error) = await end;
            Assert.True(exitCode == 0, error);
            output.WriteLine($"Killed {kills.Count} times: {string.Join(", ", kills)}.");
            return kills;
        }
    }

    /// <summary>What an entry of a journal says of a step that is at work; null where it says nothing of one.</summary>
    private static string? ReadPoint(string path)
    {
        string line = File.ReadAllText(path);
        JsonElement entry = JsonDocument.Parse(line[line.IndexOf('{', StringComparison.Ordinal)..]).RootElement;
        if (!entry.TryGetProperty("step", out JsonElement step) || entry.GetProperty("state").GetString() != "Running")
        {
            return null;
        }

        bool savesToo = Environment.GetEnvironmentVariable("SMCDR_TEST_ROUNDS") is { Length: > 0 };
        return !entry.TryGetProperty("output", out JsonElement saved) ? step.GetString() : !savesToo ? null
            : $"{step.GetString()} ({string.Join(' ', saved.EnumerateObject().Select(static property => property.Name))})";
    }

    /// <summary>When a client's first write was accepted.</summary>
    private static async Task<DateTimeOffset> UntilWrittenAsync(string connectionString)
    {
        await RegionLab.UntilAsync(
            async () =>
            {
                try
                {
                    await using NpgsqlConnection connection = new(connectionString);
                    await connection.OpenAsync();
                    await using NpgsqlCommand command = new("CREATE TABLE IF NOT EXISTS first_write ()", connection);
                    await command.ExecuteNonQueryAsync();
                    return true;
                }
                catch (NpgsqlException)
                {
                    // It is a standby still.
                    return false;
                }
            },
            "a write is accepted");
        return DateTimeOffset.UtcNow;
    }

    /// <summary>Tells how long a failover took, as a client saw it and as the plan says.</summary>
    private void TellTime(JsonElement steps, DateTimeOffset command, DateTimeOffset firstWrite)
    {
        JsonElement result = Step(steps, "report-failover").GetProperty("failover");
        double measured = result.GetProperty("measuredRtoSeconds").GetDouble();
        DateTimeOffset start = result.GetProperty("startTime").GetDateTimeOffset();
        DateTimeOffset write = result.GetProperty("writeTime").GetDateTimeOffset();
        output.WriteLine(
            $"{(firstWrite - command).TotalSeconds:0.00} s from the start of the command to a client's first write; the plan says {measured:0.00} s.");
        Assert.InRange(start, command, write);
        Assert.Equal((write - start).TotalSeconds, measured, 3);
        // What is promised, with much room: it takes seconds.
        Assert.InRange((firstWrite - command).TotalSeconds, 0, 60);
        Assert.InRange(measured, 0, 60);
        Assert.Equal("west", result.GetProperty("to").GetString());
    }

    internal static string StateOf(JsonElement steps, string key) => Step(steps, key).GetProperty("state").GetString()!;

    internal static string DetailOf(JsonElement steps, string key) => Step(steps, key).GetProperty("detail").GetString()!;

    internal static JsonElement Step(JsonElement steps, string key) => steps.EnumerateArray().Single(step => step.GetProperty("step").GetString() == key);

    internal static int LostOf(string report) => report.Contains("No transaction was lost", StringComparison.Ordinal)
        ? 0
        : int.Parse(LostPattern().Match(report).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex("begins at ([0-9A-F]+/[0-9A-F]+)")]
    internal static partial Regex SwitchPattern();

    [GeneratedRegex("Lost transactions: ([0-9]+),")]
    private static partial Regex LostPattern();
}
