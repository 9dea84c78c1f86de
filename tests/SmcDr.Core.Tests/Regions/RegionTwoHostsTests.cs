using System.Text.Json;
using SmcDr.Core.Tests.EndToEnd;
using static SmcDr.Core.Tests.Regions.RegionFailoverTests;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Two regions on two hosts, by one site file: each host has the data directory of its own region, and reaches the other by its address alone.</summary>
public sealed class RegionTwoHostsTests
{
    [Fact]
    public async Task Failback_BegunOnTheHostOfTheFormerPrimary_GoesOnOnTheOtherAndComesToItsEnd()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await lab.WriteHostsSiteAsync();
        (string east, string west) = (lab.EastHome, lab.Root);
        await lab.SucceedOnAsync(east, "backup", "database");
        SmcdrProcess stream = lab.StartOn(east, "wal", "stream");
        await lab.SucceedOnAsync(west, lab.InitArguments());
        await lab.UntilWestHasAsync(2000);
        await lab.UntilArchivedAsync();
        await stream.KillAsync();
        string access = await lab.CutStandbyAsync();
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT 'in east alone' FROM generate_series(1, 5)");
        await lab.Primary.KillAsync();
        await lab.JoinAfterKillAsync(access);

        // The other region is gone with its host: what was lost there cannot be read from here.
        JsonElement steps = await lab.SucceedOnAsync(west, "region", "failover", "--yes");
        Assert.Contains("could not be reached", DetailOf(steps, "stop-primary"), StringComparison.Ordinal);
        Assert.Contains("before the old primary's WAL can be read", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        Assert.False(Step(steps, "report-failover").GetProperty("failover").TryGetProperty("lostTransactions", out JsonElement lost) &&
            lost.ValueKind != JsonValueKind.Null);
        lab.StartOn(west, "wal", "stream");
        await lab.AskWestAsync<long>("INSERT INTO t (v) SELECT 'in west' FROM generate_series(1, 100) RETURNING id");

        // On the host of the former primary it comes as far as that host goes, as often as it is tried, and west leads on.
        for (int attempt = 0; attempt < 2; attempt++)
        {
            (int exitCode, string output, string error) = await lab.StartOn(east, "region", "failback", "--yes", "--json").EndAsync();
            Assert.Equal(SmcErrors.Get(SmcErrorCode.RegionUnsuitable).ExitCode, exitCode);
            Assert.Contains("cannot be shut down from here", error, StringComparison.Ordinal);
            Assert.Contains("on the host of 'west'", error, StringComparison.Ordinal);
            steps = JsonDocument.Parse(output).RootElement.Clone();
            Assert.Equal("Failed", StateOf(steps, "hand-over"));
            Assert.Equal(attempt == 0 ? "Succeeded" : "AlreadyDone", StateOf(steps, "rejoin-database"));
            Assert.Equal("NotReached", StateOf(steps, "stop-primary"));
            Assert.True(await RegionLab.AskAsync<bool>(lab.EastConnection, "SELECT pg_is_in_recovery()"));
            Assert.True(await lab.AskWestAsync<long>("INSERT INTO t (v) VALUES ('in west still') RETURNING id") > 0);
        }

        string kept = Directory.GetDirectories(lab.EastHome, "data.lost-*").Single();
        Assert.Equal(6, (await File.ReadAllLinesAsync(Path.Combine(kept, "rows", "postgres", "public.t.csv"))).Length);

        // On the other one the plan goes on, and what was done is not done again.
        steps = await lab.SucceedOnAsync(west, "plan", "resume", "--yes");

        Assert.Equal("AlreadyDone", StateOf(steps, "rejoin-database"));
        Assert.Equal("Its database is on this host.", DetailOf(steps, "hand-over"));
        Assert.Contains("It was shut down cleanly", DetailOf(steps, "stop-primary"), StringComparison.Ordinal);
        Assert.Equal("It follows 'east'.", DetailOf(steps, "follow-region"));
        Assert.Contains("Nothing was lost", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        Assert.False(await RegionLab.AskAsync<bool>(lab.EastConnection, "SELECT pg_is_in_recovery()"));
        Assert.Equal(102L, await RegionLab.AskAsync<long>(lab.EastConnection, "SELECT count(*) FROM t WHERE v LIKE 'in west%'"));
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('in east again')");
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        Assert.True(await lab.AskWestAsync<bool>("SELECT pg_is_in_recovery()"));
        foreach (string home in new[] { east, west })
        {
            JsonElement regions = await lab.SucceedOnAsync(home, "region", "list");
            Assert.Equal("Leads", regions.EnumerateArray().Single(static region => region.GetProperty("name").GetString() == "east")
                .GetProperty("fencing").GetString());
            Assert.True(regions.EnumerateArray().Single(static region => region.GetProperty("name").GetString() == "west")
                .GetProperty("canTakeOver").GetBoolean());
        }
    }
}
