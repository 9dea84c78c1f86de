using System.Globalization;
using System.Text.Json;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Redis;
using Xunit.Abstractions;
using static SmcDr.Core.Tests.Regions.RegionFailoverTests;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Sites that are led back to the region that led before, on real servers and by the program itself.</summary>
public sealed class RegionFailbackTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Failback_PrimaryWasLostAndCameBack_WhatItAloneHasIsListedAndItLeadsAgain()
    {
        await using RedisServer redisEast = await RedisServer.StartAsync();
        await using RedisServer redisWest = await RedisServer.StartAsync();
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.WriteSiteAsync("east", more: region => $"redis: {{ endpoint: \"127.0.0.1:{(region == "east" ? redisEast : redisWest).Port}\" }}");
        await lab.SucceedAsync("backup", "database");
        SmcdrProcess stream = lab.StartStream();
        await lab.SucceedAsync(lab.InitArguments());
        await lab.UntilWestHasAsync(2000);
        await lab.UntilArchivedAsync();
        await stream.KillAsync();
        string access = await lab.CutStandbyAsync();
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT 'in east alone' FROM generate_series(1, 30)");
        await lab.Primary.ExecuteAsync("UPDATE t SET v = 'changed in east alone' WHERE id <= 5");
        await lab.Primary.KillAsync();
        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");
        Assert.Contains("Lost transactions: 2,", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        await lab.AskWestAsync<long>("INSERT INTO t (v) SELECT 'in west' FROM generate_series(1, 100) RETURNING id");
        await redisWest.ExecuteAsync("SET", "k", "of west");

        // It comes back as a primary of its own, and is written to, before anybody looks.
        await lab.Primary.ResumeAsync();
        await lab.JoinStandbyAsync(access);
        await lab.Primary.ExecuteAsync("CREATE TABLE only_in_east AS SELECT i FROM generate_series(1, 7) i");
        await lab.Primary.ExecuteAsync("DELETE FROM t WHERE id = 10");
        await redisEast.ExecuteAsync("SET", "own", "of east");

        string east = await RegionLab.DigestAsync(lab.EastConnection);
        JsonElement planned = await lab.SucceedAsync("region", "failback", "--dry-run");
        Assert.Contains("before anything is overwritten", DetailOf(planned, "keep-lost"), StringComparison.Ordinal);
        Assert.Equal(east, await RegionLab.DigestAsync(lab.EastConnection));

        steps = await lab.SucceedAsync("region", "failback", "--yes");

        string kept = DetailOf(steps, "keep-lost");
        Assert.Contains("Lost transactions: 4,", kept, StringComparison.Ordinal);
        string directory = Directory.GetDirectories(lab.Primary.RootDirectory, "data.lost-*").Single();
        JsonElement[] lost = [.. (await File.ReadAllLinesAsync(Path.Combine(directory, "transactions.jsonl"))).Select(Parse)];
        Assert.Equal([(30L, 0L, 0L), (0L, 5L, 0L), (0L, 0L, 1L)], lost.Where(IsOfTable).Select(Rows));
        JsonElement made = lost.Single(static line => !IsOfTable(line));
        Assert.Contains(Relations(made), static relation => relation.GetProperty("insertedRows").GetInt64() == 7);
        Assert.All(lost, static line => Assert.Equal("postgres", line.GetProperty("database").GetString()));
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(directory, "wal")));

        // The rows are there as well, of the table that the other one never saw, too.
        Assert.Contains("Rows that they inserted or updated: 42, of 2 tables", kept, StringComparison.Ordinal);
        Assert.Contains("deleted rows, which are in no file: 1.", kept, StringComparison.Ordinal);
        string[] rows = await File.ReadAllLinesAsync(Path.Combine(directory, "rows", "postgres", "public.t.csv"));
        Assert.Equal("id,v", rows[0]);
        Assert.Equal(30, rows.Count(static row => row.EndsWith(",in east alone", StringComparison.Ordinal)));
        Assert.Equal(
            Enumerable.Range(1, 5).Select(static id => $"{id},changed in east alone"),
            rows.Where(static row => row.Contains(",changed", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.Equal(36, rows.Length);
        Assert.Equal(
            ["i", "1", "2", "3", "4", "5", "6", "7"], await File.ReadAllLinesAsync(Path.Combine(directory, "rows", "postgres", "public.only_in_east.csv")));
        Assert.Equal(2, (await File.ReadAllLinesAsync(Path.Combine(directory, "rows.jsonl"))).Length);
        Assert.Equal("It was rewound, and follows 'west'.", DetailOf(steps, "rejoin-database"));
        Assert.Contains("It had 1 keys as a master of its own", DetailOf(steps, "rejoin-redis"), StringComparison.Ordinal);
        Assert.True(new FileInfo(Path.Combine(directory, "redis.rdb")).Length > 0);
        Assert.Contains("'east' leads on timeline 3", DetailOf(steps, "report-failover"), StringComparison.Ordinal);

        // East leads with what west had, at its own port and with its own settings, and west follows.
        Assert.False(await RegionLab.AskAsync<bool>(lab.EastConnection, "SELECT pg_is_in_recovery()"));
        Assert.Equal(0L, await RegionLab.AskAsync<long>(lab.EastConnection, "SELECT count(*) FROM t WHERE v LIKE '%east alone'"));
        Assert.Equal(100L, await RegionLab.AskAsync<long>(lab.EastConnection, "SELECT count(*) FROM t WHERE v = 'in west'"));
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('in east again')");
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        Assert.True(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal(1L, await redisEast.ExecuteAsync("EXISTS", "k"));
        Assert.Equal(0L, await redisEast.ExecuteAsync("EXISTS", "own"));
        await redisEast.ExecuteAsync("SET", "k2", "v");
        await RegionLab.UntilAsync(async () => await redisWest.ExecuteAsync("EXISTS", "k2") is 1L, "the key of east in west");
        JsonElement leader = await lab.LookAsync("east");
        Assert.Equal("Leads", leader.GetProperty("fencing").GetString());
        Assert.Equal(2L, leader.GetProperty("epoch").GetInt64());
        Assert.True((await lab.LookAsync("west")).GetProperty("canTakeOver").GetBoolean());

        steps = await lab.SucceedAsync("region", "failback", "--yes");
        Assert.Equal("AlreadyDone", StateOf(steps, "leads-already"));
    }

    [Fact]
    public async Task Failback_DatabaseThatCannotBeRewound_IsRestoredOverWhatIsThereAndSaysWhy()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync(hints: false);
        await lab.UntilWestHasAsync(2000);
        await lab.Primary.KillAsync();
        await lab.SucceedAsync("region", "failover", "--yes");
        await lab.RestartStreamAsync();
        await lab.AskWestAsync<long>("INSERT INTO t (v) VALUES ('in west') RETURNING id");

        JsonElement steps = await lab.SucceedAsync("region", "failback", "--yes");

        string how = DetailOf(steps, "rejoin-database");
        Assert.Contains("It was restored from the backup", how, StringComparison.Ordinal);
        Assert.Contains("were right in it and stayed", how, StringComparison.Ordinal);
        Assert.Contains("neither data checksums nor wal_log_hints", how, StringComparison.Ordinal);
        Assert.Contains("No transaction was lost", DetailOf(steps, "keep-lost"), StringComparison.Ordinal);
        Assert.False(await RegionLab.AskAsync<bool>(lab.EastConnection, "SELECT pg_is_in_recovery()"));
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
    }

    [Fact]
    public async Task Failback_WalOfTheFormerPrimaryIsGone_IsRefusedBeforeAnythingIsOverwritten()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await lab.UntilWestHasAsync(2000);
        await lab.Primary.KillAsync();
        await lab.SucceedAsync("region", "failover", "--yes");
        await lab.Primary.ResumeAsync();
        string before = await RegionLab.DigestAsync(lab.EastConnection);
        string first = await lab.Primary.ScalarAsync<string>("SELECT min(name) FROM pg_ls_waldir() WHERE name < 'A'");
        await RegionLab.UntilAsync(
            async () =>
            {
                await lab.Primary.ExecuteAsync("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
                await lab.Primary.ExecuteAsync("SELECT pg_switch_wal() FROM pg_create_restore_point('next')");
                await lab.Primary.ExecuteAsync("CHECKPOINT");
                return await lab.Primary.ScalarAsync<string>("SELECT min(name) FROM pg_ls_waldir() WHERE name < 'A'") is var name &&
                    ulong.Parse(name.AsSpan(8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) >
                        ulong.Parse(first.AsSpan(8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) + 10;
            },
            "the WAL of the fork is gone");

        (int exitCode, string _, string error) = await lab.RunAsync("region", "failback", "--yes");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.RegionUnsuitable).ExitCode, exitCode);
        Assert.Contains("what it committed cannot be listed", error, StringComparison.Ordinal);
        Assert.Contains("--abandon-unfinished", error, StringComparison.Ordinal);
        await lab.Primary.ResumeAsync();
        Assert.Equal(before, await RegionLab.DigestAsync(lab.EastConnection));
    }

    [Fact]
    public async Task Failback_KilledAgainAndAgain_IsFinishedByTheSameCommandWithOnePrimary()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.SucceedAsync("backup", "database");
        SmcdrProcess stream = lab.StartStream();
        await lab.SucceedAsync(lab.InitArguments());
        await lab.UntilWestHasAsync(2000);
        await lab.UntilArchivedAsync();
        await stream.KillAsync();
        string access = await lab.CutStandbyAsync();
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT 'in east alone' FROM generate_series(1, 30)");
        await lab.Primary.KillAsync();
        await lab.JoinAfterKillAsync(access);
        await lab.SucceedAsync("region", "failover", "--yes");
        await lab.RestartStreamAsync();
        await lab.AskWestAsync<long>("INSERT INTO t (v) SELECT 'in west' FROM generate_series(1, 100) RETURNING id");

        IReadOnlyList<string> kills = await KillAgainAndAgainAsync(lab, output, "region", "failback", "--yes");

        Assert.True(kills.Count >= 10, $"{kills.Count} kills");
        Assert.Equal(2L, (await lab.LookAsync("east")).GetProperty("epoch").GetInt64());
        // What was lost was read while it was killed, too.
        string kept = Directory.GetDirectories(lab.Primary.RootDirectory, "data.lost-*").Single();
        Assert.Single(await File.ReadAllLinesAsync(Path.Combine(kept, "transactions.jsonl")));
        Assert.Equal(31, (await File.ReadAllLinesAsync(Path.Combine(kept, "rows", "postgres", "public.t.csv"))).Length);
        Assert.Equal("Leads", (await lab.LookAsync("east")).GetProperty("fencing").GetString());
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('in east again')");
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        Assert.True(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.All((await lab.SucceedAsync("plan", "list")).EnumerateArray(), static plan => Assert.Equal("Succeeded", plan.GetProperty("state").GetString()));
    }

    [Fact]
    public async Task Failback_RoundAfterRound_DataIsTheSameEachTime()
    {
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("SMCDR_TEST_ROUNDS"), CultureInfo.InvariantCulture, out int more) ? more : 2;
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        for (int round = 1; round <= rounds; round++)
        {
            await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
            LoadOfWrites load = new(lab.EastConnection);
            await load.UntilAsync(100);
            lab.Primary.KillAny();
            await load.EndAsync();
            JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");
            HashSet<long> west = await RegionLab.ReadIdsAsync(lab.WestConnection);
            long lost = load.Acknowledged.Count(id => !west.Contains(id));
            // What was committed and not acknowledged any more may be lost as well, one for each client at most.
            Assert.InRange(LostOf(DetailOf(steps, "report-failover")), lost, lost + 3);
            await lab.RestartStreamAsync();
            // Catching up with a primary that is written to has tests of its own (RegionCatchUpTests): with segments of a megabyte it may take minutes.
            LoadOfWrites there = new(lab.WestConnection, clients: 1);
            await there.UntilAsync(100);
            await there.EndAsync();

            steps = await lab.SucceedAsync("region", "failback", "--yes");

            Assert.Equal(LostOf(DetailOf(steps, "keep-lost")), (await ReadLostAsync(lab, round)).Length);
            Assert.Subset(await RegionLab.ReadIdsAsync(lab.EastConnection), new HashSet<long>([.. there.Acknowledged, .. west]));
            Assert.False(await RegionLab.AskAsync<bool>(lab.EastConnection, "SELECT pg_is_in_recovery()"));
            await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
            Assert.Equal(2L * round, (await lab.LookAsync("east")).GetProperty("epoch").GetInt64());
            await lab.RestartStreamAsync();
        }
    }

    private static async Task<string[]> ReadLostAsync(RegionLab lab, int round)
    {
        string[] directories = [.. Directory.GetDirectories(lab.Primary.RootDirectory, "data.lost-*").Order(StringComparer.Ordinal)];
        Assert.Equal(round, directories.Length);
        return await File.ReadAllLinesAsync(Path.Combine(directories[^1], "transactions.jsonl"));
    }

    private static JsonElement Parse(string line) => JsonDocument.Parse(line).RootElement.Clone();

    private static IEnumerable<JsonElement> Relations(JsonElement line) => line.GetProperty("relations").EnumerateArray();

    private static JsonElement Table(JsonElement line) => Relations(line).FirstOrDefault(static relation =>
        relation.TryGetProperty("name", out JsonElement name) && name.GetString() == "public.t");

    private static bool IsOfTable(JsonElement line) => Table(line).ValueKind == JsonValueKind.Object;

    private static (long Inserted, long Updated, long Deleted) Rows(JsonElement line) => (
        Table(line).GetProperty("insertedRows").GetInt64(),
        Table(line).GetProperty("updatedRows").GetInt64(),
        Table(line).GetProperty("deletedRows").GetInt64());
}
