using System.Text.Json;
using Npgsql;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Dns;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Redis;
using Xunit.Abstractions;
using static SmcDr.Core.Tests.Regions.RegionFailoverTests;

namespace SmcDr.Core.Tests.Regions;

/// <summary>
/// Two regions with all that a region has: PostgreSQL and Redis on this host, writers in two namespaces of a real cluster, and a DNS record in a zone of
/// moto's whose server is a real one. Its clients go where the record leads them.
/// </summary>
[Collection(ClusterGroup.Name)]
public sealed class RegionWholeSiteTests(ClusterFixture cluster, MotoServer moto, ITestOutputHelper output) : IClassFixture<MotoServer>
{
    private const string Record = "api.example.test";
    private const int Replicas = 2;
    private static readonly WorkloadName s_writer = WorkloadName.Parse("deployment/region-writer");

    [WholeSiteFact]
    public async Task Site_RegionDiesUnderLoadAndIsLedBackTo_NothingIsLostThatWasElsewhereAndAllOfItIsWhereItShouldBe()
    {
        string[] namespaces = [cluster.Namespace + "-whole-east", cluster.Namespace + "-whole-west"];
        foreach (string name in namespaces)
        {
            await cluster.Client.CreateAsync(
                KubernetesResource.Namespaces,
                ClusterFixture.Parse($$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{name}}}"}}"""),
                false,
                default);
        }

        try
        {
            await Task.WhenAll(namespaces.Select(name => RegionClusterTests.DeployWriterAsync(cluster, name, Replicas)));
            await LeadOverAndBackAsync(namespaces[0], namespaces[1]);
        }
        finally
        {
            foreach (string name in namespaces)
            {
                await cluster.Client.DeleteAsync(KubernetesResource.Namespaces, null, name, null, default);
            }
        }
    }

    private async Task LeadOverAndBackAsync(string eastNamespace, string westNamespace)
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple(Record + ".", "CNAME", "east.example.test", 60));
        await using ZoneServer dns = await ZoneServer.StartAsync(moto, zone);
        // What the old master has of its own is to be there when it comes back.
        await using RedisServer redisEast = await RedisServer.StartAsync(
            new RedisServerOptions { Settings = new Dictionary<string, string> { ["appendonly"] = "yes", ["appendfsync"] = "always" } });
        await using RedisServer redisWest = await RedisServer.StartAsync();
        await using RegionLab lab = await RegionLab.StartAsync();
        await using NetworkProxy databaseLink = new(lab.Primary.Port);
        await using NetworkProxy redisLink = new(redisEast.Port);
        string kubeconfig = Path.Combine(lab.Root, "kubeconfig");
        File.Copy(ClusterFixture.Kubeconfig!, kubeconfig);
        PostgresPrograms.GiveToServer(kubeconfig);
        string More(string region, int redis) => $$"""
            redis: { endpoint: "127.0.0.1:{{redis}}" }
                kubernetes: { kubeconfig: "{{kubeconfig}}", namespace: {{(region == "east" ? eastNamespace : westNamespace)}} }
            """;
        await lab.WriteSiteAsync(
            "east",
            $$"""
            writers: [ {{s_writer}} ]
            dns: { hostedZoneId: {{zone}}, record: {{Record}}, endpoint: "{{moto.Endpoint}}", nameServers: [ "{{dns.Endpoint}}" ] }
            objectives: { database: { rto: 1m, rpo: 5m } }
            """,
            region => More(region, region == "east" ? redisEast.Port : redisWest.Port));
        // The region west reaches the other one over links that can be cut.
        string distant = await lab.WriteDistantSiteAsync(databaseLink.Port, region => More(region, region == "east" ? redisLink.Port : redisWest.Port));
        // At rest nothing writes in the region that stands by.
        await Workloads(westNamespace).SuspendAsync(s_writer, default);
        await lab.SucceedAsync("backup", "database");
        SmcdrProcess stream = lab.StartStream();
        await lab.SucceedAsync(["--site", distant, .. lab.InitArguments()]);
        Dictionary<string, SiteClients.Place> places = new()
        {
            ["east.example.test"] = new("east", lab.EastConnection, redisEast), ["west.example.test"] = new("west", lab.WestConnection, redisWest),
        };
        await using SiteClients clients = new(Record, dns.Address, places);
        await clients.UntilMoreAsync("east", 100);
        await RegionLab.UntilAsync(async () => (await Workloads(eastNamespace).GetAsync(s_writer, default)).State == "Running", "the writers are up");
        await EnsureWritersAsync(running: eastNamespace, suspended: westNamespace);

        // It dies in parts: first nobody hears it, then what brings its WAL to the repository ends, and at last the servers.
        databaseLink.Cut();
        redisLink.Cut();
        await clients.UntilMoreAsync("east", 50);
        await lab.UntilArchivedAsync();
        await stream.KillAsync();
        await clients.UntilMoreAsync("east", 50);
        await Task.WhenAll(lab.Primary.KillAsync(), redisEast.KillAsync());

        Lsn received = Lsn.Parse(await lab.AskWestAsync<string>("SELECT pg_last_wal_receive_lsn()::text"));
        Lsn archived = lab.ReadArchive().Keys.Max(RegionLab.EndOf);
        Assert.True(archived > received, $"The repository ends at {archived}, and the standby has received {received}.");
        HashSet<string> elsewhere = [.. clients.Rows.Where(row => row.Position <= archived).Select(static row => row.Value)];
        HashSet<string> replicated = [.. clients.Keys.Where(static key => key.IsReplicated).Select(static key => key.Name)];
        Assert.True(elsewhere.Count >= 150, $"{elsewhere.Count} rows are elsewhere.");
        Assert.NotEmpty(replicated);

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        JsonElement result = Step(steps, "report-failover").GetProperty("failover");
        output.WriteLine($"Took {result.GetProperty("measuredRtoSeconds").GetDouble():0.0} s; {DetailOf(steps, "report-failover")}");
        Assert.Equal("Met", result.GetProperty("rtoVerdict").GetString());
        Assert.Equal("west.example.test", await clients.ResolveAsync());
        // It does not wait long for pods of a region that is lost: on a node that is dead they never end.
        await RegionLab.UntilAsync(
            async () => (await Workloads(eastNamespace).GetAsync(s_writer, default)).State != "Stopping", "the old region's writers have no pods");
        await EnsureWritersAsync(running: westNamespace, suspended: eastNamespace);
        HashSet<string> rows = await ReadRowsAsync(lab.WestConnection);
        Assert.Empty(elsewhere.Except(rows));
        Assert.Empty(replicated.Except(await ReadKeysAsync(redisWest)));
        // Its clients find it by the record alone.
        await clients.UntilMoreAsync("west", 50);

        // What was lost can be counted when the old servers are back: it is what was reported.
        databaseLink.Heal();
        redisLink.Heal();
        await Task.WhenAll(lab.Primary.ResumeAsync(), redisEast.ResumeAsync());
        HashSet<string> lost = [.. (await ReadRowsAsync(lab.EastConnection)).Except(rows)];
        Assert.True(lost.Count >= 50, $"{lost.Count} rows were lost.");
        Assert.Equal(lost.Count, result.GetProperty("lostTransactions").GetInt64());
        Assert.Equal(lost.Count, LostOf(DetailOf(steps, "report-failover")));
        HashSet<string> gone = [.. clients.Rows.Where(static row => row.Region == "east").Select(static row => row.Value).Except(rows)];
        Assert.Subset(lost, gone);
        // A commit whose answer was cut off was acknowledged to nobody: one for each client at most.
        Assert.InRange(lost.Count, gone.Count, gone.Count + 2);

        // And back without a loss, while its clients go on.
        await lab.RestartStreamAsync();
        HashSet<string> keysOfEast = await ReadKeysAsync(redisEast);
        HashSet<string> lostKeys = [.. keysOfEast.Except(await ReadKeysAsync(redisWest))];
        Assert.NotEmpty(lostKeys);
        steps = await lab.SucceedAsync("region", "failback", "--yes");

        Assert.Contains("Nothing was lost", DetailOf(steps, "report-failover"), StringComparison.Ordinal);
        Assert.Equal("east.example.test", await clients.ResolveAsync());
        await EnsureWritersAsync(running: eastNamespace, suspended: westNamespace);
        await clients.UntilMoreAsync("east", 50);
        string kept = Directory.GetDirectories(lab.Primary.RootDirectory, "data.lost-*").Single();
        Assert.Equal(
            lost.Order(StringComparer.Ordinal),
            (await File.ReadAllLinesAsync(Path.Combine(kept, "rows", "postgres", "public.t.csv"))).Skip(1)
                .Select(static line => line[(line.IndexOf(',', StringComparison.Ordinal) + 1)..]).Order(StringComparer.Ordinal));
        Assert.Contains($"It had {keysOfEast.Count} keys as a master of its own", DetailOf(steps, "rejoin-redis"), StringComparison.Ordinal);

        await clients.EndAsync();
        rows = await ReadRowsAsync(lab.EastConnection);
        Assert.Empty(clients.Rows.Select(static row => row.Value).Except(lost).Except(rows));
        HashSet<string> keys = await ReadKeysAsync(redisEast);
        Assert.Empty(clients.Keys.Select(static key => key.Name).Except(lostKeys).Except(keys));
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        await RegionLab.UntilAsync(async () => keys.SetEquals(await ReadKeysAsync(redisWest)), "both have the same keys");
    }

    /// <summary>The writers of one region are at their number, and of those of the other there is none.</summary>
    private async Task EnsureWritersAsync(string running, string suspended)
    {
        WorkloadInfo there = await Workloads(running).GetAsync(s_writer, default);
        Assert.Equal(("Running", Replicas, Replicas), (there.State, there.Replicas, there.ReadyCount));
        WorkloadInfo gone = await Workloads(suspended).GetAsync(s_writer, default);
        Assert.Equal(("Suspended", 0, 0, Replicas), (gone.State, gone.Replicas, gone.PodCount, gone.RememberedReplicas));
    }

    private ClusterWorkloads Workloads(string @namespace) => new(cluster.Client, @namespace, new WorkloadOptions(), NullObserver.Instance);

    /// <summary>What the clients have written.</summary>
    private static async Task<HashSet<string>> ReadRowsAsync(string connectionString)
    {
        await using NpgsqlConnection connection = new(connectionString);
        await connection.OpenAsync();
        await using NpgsqlCommand command = new("SELECT v FROM t WHERE v LIKE 'row-%'", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        HashSet<string> rows = [];
        while (await reader.ReadAsync())
        {
            Assert.True(rows.Add(reader.GetString(0)));
        }

        return rows;
    }

    private static async Task<HashSet<string>> ReadKeysAsync(RedisServer redis) =>
        [.. ((object?[])(await redis.ExecuteAsync("KEYS", "key-*"))!).Select(static key => System.Text.Encoding.UTF8.GetString((byte[])key!))];
}
