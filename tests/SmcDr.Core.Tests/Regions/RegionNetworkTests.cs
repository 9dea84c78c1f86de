using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.Regions.RegionFailoverTests;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Two regions with a bad network between them. Each has a site file of its own, as two hosts have.</summary>
public sealed class RegionNetworkTests
{
    [Fact]
    public async Task Failover_NetworkIsCutAndTheOldPrimaryLivesOn_NotOneByteOfItsWalIsTaken()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await using NetworkProxy network = new(lab.Primary.Port);
        string distant = await lab.WriteDistantSiteAsync(network.Port);
        await lab.SucceedAsync("backup", "database");
        SmcdrProcess stream = lab.StartStream();
        await lab.SucceedAsync(["--site", distant, .. lab.InitArguments()]);
        LoadOfWrites zombie = new(lab.Primary);
        await zombie.UntilAsync(200);
        network.Cut();

        JsonElement steps = await lab.SucceedAsync("--site", distant, "region", "failover", "--yes");

        Assert.Contains("could not be reached", DetailOf(steps, "stop-primary"), StringComparison.Ordinal);
        HashSet<long> west = await RegionLab.ReadIdsAsync(lab.WestConnection);
        // Its writers were never away, and its stream was refused.
        (int exitCode, string _, string error) = await stream.EndAsync();
        Assert.Equal(SmcErrors.Get(SmcErrorCode.Fenced).ExitCode, exitCode);
        Assert.Contains("'east' is fenced off", error, StringComparison.Ordinal);
        Dictionary<string, string> before = lab.ReadArchive();
        Lsn left = Lsn.Parse(SwitchPattern().Match(DetailOf(steps, "report-failover")).Groups[1].Value);
        await zombie.UntilAsync(zombie.Acknowledged.Count + 200);
        Assert.True(Lsn.Parse(await lab.Primary.ScalarAsync<string>("SELECT pg_current_wal_lsn()::text")) > left);

        // What a supervisor starts again on its host, by a site file that nobody has corrected, streams from the region that leads.
        (exitCode, string _, error) = await lab.RunAsync("wal", "stream", "--once");
        Assert.True(exitCode == 0, error);
        JsonElement backup = await lab.SucceedAsync("backup", "database");
        Assert.Equal(2, backup.GetProperty("timeline").GetInt32());
        await zombie.UntilAsync(zombie.Acknowledged.Count + 200);
        Dictionary<string, string> after = lab.ReadArchive();
        Assert.All(before.Keys.Intersect(after.Keys), name => Assert.Equal(before[name], after[name]));
        string[] added = [.. after.Keys.Except(before.Keys)];
        Assert.Contains(added, static name => name.StartsWith("00000002", StringComparison.Ordinal));
        // Up to where the histories part the WAL of both is the same.
        Assert.All(
            added.Where(static name => name.StartsWith("00000001", StringComparison.Ordinal)), name => Assert.True(RegionLab.EndOf(name) <= left, $"{name}, {left}"));
        JsonElement east = await lab.LookAsync("east");
        Assert.Equal("Primary", east.GetProperty("actualRole").GetString());
        Assert.Equal("Fenced", east.GetProperty("fencing").GetString());
        Assert.False(east.GetProperty("canTakeOver").GetBoolean());

        // Led back on its own host, with its writers still at work: all that it alone has is listed.
        network.Heal();
        steps = await lab.SucceedAsync("region", "failback", "--yes");

        await zombie.EndAsync();
        long lost = zombie.Acknowledged.Count(id => !west.Contains(id));
        Assert.True(lost >= 400, $"{lost} lost");
        Assert.InRange(LostOf(DetailOf(steps, "keep-lost")), lost, lost + 3);
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
    }

    [Fact]
    public async Task Standby_NetworkIsSlowAndSaysThingsTwice_HasTheSameAndTakesOverWithoutALoss()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await using NetworkProxy network = new(lab.Primary.Port);
        string distant = await lab.WriteDistantSiteAsync(network.Port);
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await lab.SucceedAsync(["--site", distant, .. lab.InitArguments()]);
        // While the repository has more than the standby, that does not stream: nothing would come by the network.
        LoadOfWrites load = new(lab.Primary, pause: TimeSpan.FromMilliseconds(20));
        foreach (int pieces in new[] { 1, 2, 3, 5 })
        {
            network.Duplicate(pieces);
            await RegionLab.UntilAsync(() => Task.FromResult(network.Duplicates == 0), "the pieces came twice");
            await load.UntilAsync(load.Acknowledged.Count + 50);
        }

        network.Cut();
        await load.UntilAsync(load.Acknowledged.Count + 50);
        network.Heal();
        network.Slow(TimeSpan.FromMilliseconds(20));
        await load.UntilAsync(load.Acknowledged.Count + 50);
        await lab.UntilWestStreamsAsync("it streams again");

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--planned", "--yes");

        await load.EndAsync();
        Assert.Contains("Nothing was lost", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        Assert.Subset(await RegionLab.ReadIdsAsync(lab.WestConnection), new HashSet<long>(load.Acknowledged));
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
    }

    [Fact]
    public async Task Failover_LinkIsNarrowerThanTheLoad_WhatTheStandbyLacksComesFromTheRepository()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        await using NetworkProxy network = new(lab.Primary.Port);
        string distant = await lab.WriteDistantSiteAsync(network.Port);
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await lab.SucceedAsync(["--site", distant, .. lab.InitArguments()]);
        network.Cut();
        network.Narrow(16 << 10);
        await lab.UntilWestStreamsAsync("it streams again");
        // Four megabytes, which take the link minutes.
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 10000) i");
        await lab.UntilArchivedAsync();
        Lsn archived = lab.ReadArchive().Keys.Max(RegionLab.EndOf);
        Lsn received = Lsn.Parse(await lab.AskWestAsync<string>("SELECT pg_last_wal_receive_lsn()::text"));
        Assert.True(archived - received > 1 << 20, $"The repository has WAL up to {archived}, and the standby up to {received}.");
        JsonElement behind = await lab.LookAsync("west");
        Assert.Equal("Streaming", behind.GetProperty("replication").GetString());
        Assert.True(behind.GetProperty("lagBytes").GetInt64() > 1 << 20, behind.ToString());
        await lab.Primary.KillAsync();
        // With all that is on its way still.
        network.Cut();

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        Assert.Equal(0, LostOf(DetailOf(steps, "report-failover")));
        Assert.Equal(12000L, await lab.AskWestAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Failover_ApiOfTheOldRegionTakesConnectionsAndSaysNothing_IsNotHeldUpByIt()
    {
        // As a region that is lost behind its load balancers: connections are taken, and no more.
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        await using RegionLab lab = await RegionLab.StartAsync();
        string kubeconfig = Path.Combine(lab.Root, "kubeconfig");
        await File.WriteAllTextAsync(kubeconfig, $$"""
            apiVersion: v1
            kind: Config
            clusters: [ { name: gone, cluster: { server: "https://127.0.0.1:{{((IPEndPoint)silent.LocalEndpoint).Port}}", insecure-skip-tls-verify: true } } ]
            users: [ { name: nobody, user: { token: none } } ]
            contexts: [ { name: gone, context: { cluster: gone, user: nobody } } ]
            current-context: gone
            """);
        PostgresPrograms.GiveToServer(kubeconfig);
        // Its database is in that cluster as well, so it is asked for that, too.
        string distant = await lab.WriteDistantSiteAsync(
            lab.Primary.Port,
            region => region == "east" ? $"kubernetes: {{ kubeconfig: {kubeconfig}, namespace: none, portForward: false }}" : "",
            "workload: statefulset/postgres",
            "writers: [ deployment/one, deployment/two ]\nobjectives: { database: { rto: 60s, rpo: 60s } }");
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await lab.SucceedAsync(["--site", distant, .. lab.InitArguments()]);
        await lab.UntilWestHasAsync(2000);
        await lab.Primary.KillAsync();

        JsonElement steps = await lab.SucceedAsync("--site", distant, "region", "failover", "--yes");

        Assert.Contains("The cluster of 'east' does not answer", DetailOf(steps, "suspend-writers"), StringComparison.Ordinal);
        Assert.Contains("could not be reached", DetailOf(steps, "stop-primary"), StringComparison.Ordinal);
        Assert.Equal("Met", Step(steps, "report-failover").GetProperty("failover").GetProperty("rtoVerdict").GetString());
        Assert.Equal(2000L, await lab.AskWestAsync<long>("SELECT count(*) FROM t"));
    }
}
