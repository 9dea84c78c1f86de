using System.Net;
using System.Net.Sockets;
using System.Text;
using SmcDr.Core.Dns;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Dns;

/// <summary>Changes of records from the plan to the zone's servers: moto plays Route 53, dnsmasq is the zone's server.</summary>
[Collection(MotoTests.Name)]
public sealed class DnsRecordsTests(MotoServer moto)
{
    private static readonly DnsName s_name = DnsName.Parse("api.example.test");
    private static readonly DnsTarget s_east = new("east", "east.example.test");
    private static readonly DnsTarget s_west = new("west", "west.example.test");
    private static readonly DnsApplyOptions s_quick = new()
    {
        Timeout = TimeSpan.Zero,
        PollDelay = TimeSpan.FromMilliseconds(2),
        MaximumPollDelay = TimeSpan.FromMilliseconds(20),
        ProbeTimeout = TimeSpan.Zero,
    };

    private readonly RecordingObserver _observer = new();

    [MotoFact]
    public async Task Set_SimpleRecord_IsMadeChangedServedAndTakenBack_Route53Trap6()
    {
        string zone = await moto.CreateZoneAsync();
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");
        using DnsRecords records = Records(zone, server.Endpoint);

        DnsChangeResult made = await ApplyAsync(records, To(s_east) with { DefaultTtl = 300 }, s_quick with { AskServers = false });
        Assert.Equal((DnsStates.InSync, true, "east", "none", "east.example.test (TTL 300)"), (made.State, made.IsChanged, made.Region, made.Before, made.After));
        // There was none, and that is kept as well: the SOA of moto's zones says 86400 s in a record of 900 s.
        Assert.Equal(900, made.OldAnswerSeconds);

        DnsChangeResult switched = await ApplyAsync(records, To(s_west) with { Ttl = 60 }, s_quick);
        Assert.Equal((DnsStates.Served, "west", 300), (switched.State, switched.Region, switched.OldAnswerSeconds));
        Assert.Equal(switched.ServedTime!.Value.AddSeconds(300), switched.OldAnswerUntil);
        Assert.Equal(DnsServerOutcomes.Current, Assert.Single(switched.Servers).Outcome);
        Assert.Empty(switched.Problems);

        DnsChangeResult again = await ApplyAsync(records, To(s_west) with { Ttl = 60 }, s_quick);
        Assert.Equal((DnsStates.Served, false), (again.State, again.IsChanged));
        Assert.Null(again.Undo);
        Assert.Null(again.ChangeId);

        DnsChangeResult undone = await UndoAsync(records, switched.Undo!);
        Assert.Equal("east.example.test (TTL 300)", undone.After);
        // The server still has the change: it answers what Route 53 has no more.
        Assert.Equal(DnsStates.NotServed, undone.State);
        Assert.Equal(SmcErrorCode.DnsNotServed, s_quick.FindFailure(undone)!.Code);

        DnsChangeResult gone = await UndoAsync(records, made.Undo!);
        Assert.Equal(("east.example.test (TTL 300)", "none"), (gone.Before, gone.After));
        Assert.Empty(await records.ReadAsync(s_name, null, askServers: false, default));
        Assert.Empty((await records.PlanUndoAsync(DnsUndo.Parse(made.Undo!), false, default)).Changes);
    }

    [MotoFact]
    public async Task Read_Records_TellsRegionRoutingAndServers()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "WEST.example.test"), ScriptedRoute53.Simple("www.example.test.", "A", "127.0.0.1"));
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");
        using DnsRecords records = moto.Records(zone, [s_east, s_west, new DnsTarget("here", "localhost")], [server.Endpoint], _observer);

        DnsRecordInfo record = Assert.Single(await records.ReadAsync(s_name, null, askServers: true, default));
        DnsRecordInfo address = Assert.Single(await records.ReadAsync(DnsName.Parse("www.example.test"), null, askServers: false, default));

        Assert.Equal(("west", "Simple", 60, DnsStates.Served), (record.Region, record.Routing, record.TtlSeconds, record.State));
        Assert.Equal(("here", (string?)null), (address.Region, address.State));
        Assert.Empty(await records.ReadAsync(s_name, "A", askServers: true, default));
    }

    [MotoFact]
    public async Task Set_WeightedRecords_AreMovedTogetherAndKeepWhatTheyHave_Route53Trap2()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, Weighted("e", 70, "east.example.test", "check-e"), Weighted("w", 0, "west.example.test", "check-w"), Weighted("o", 30, "other.example.test"));
        using DnsRecords records = Records(zone);

        DnsChangePlan plan = await records.PlanAsync(To(s_west), default);
        DnsChangeResult result = await records.ApplyAsync(plan, s_quick with { AskServers = false }, default);

        Assert.Equal(3, plan.Changes.Count);
        IReadOnlyList<DnsRecordInfo> now = await records.ReadAsync(s_name, null, askServers: false, default);
        Assert.Equal([("e", 0, "check-e"), ("o", 0, null), ("w", 70, "check-w")], Sets(now));
        Assert.Equal("west", result.Region);

        await UndoAsync(records, result.Undo!);
        now = await records.ReadAsync(s_name, null, askServers: false, default);
        Assert.Equal([("e", 70, "check-e"), ("o", 30, null), ("w", 0, "check-w")], Sets(now));

        await ApplyAsync(records, Values("new.example.test") with { SetIdentifier = "o" }, s_quick with { AskServers = false });
        DnsRecordInfo one = (await records.ReadAsync(s_name, null, askServers: false, default)).Single(static set => set.SetIdentifier == "o");
        Assert.Equal(("new.example.test", 30), (Assert.Single(one.Values), one.Weight));

        await ApplyAsync(records, Values("fourth.example.test") with { SetIdentifier = "n", Weight = 5 }, s_quick with { AskServers = false });
        Assert.Equal(4, (await records.ReadAsync(s_name, null, askServers: false, default)).Count);

        static (string?, int?, string?)[] Sets(IEnumerable<DnsRecordInfo> records) =>
            [.. records.OrderBy(static set => set.SetIdentifier, StringComparer.Ordinal).Select(static set => (set.SetIdentifier, set.Weight, set.HealthCheckId))];
    }

    [MotoFact]
    public async Task Set_FailoverPair_LeadsToOneRegionSoThatNothingGoesBackByItself_Route53Trap5()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(
            zone, Group("e", "<Failover>PRIMARY</Failover>", "east.example.test", "check"), Group("w", "<Failover>SECONDARY</Failover>", "west.example.test"));
        using DnsRecords records = Records(zone);

        DnsChangeResult result = await ApplyAsync(records, To(s_west), s_quick with { AskServers = false });

        IReadOnlyList<DnsRecordInfo> now = await records.ReadAsync(s_name, null, askServers: false, default);
        Assert.All(now, static set => Assert.Equal("west", set.Region));
        Assert.Equal([("e", "PRIMARY", "check"), ("w", "SECONDARY", null)], now.Select(static set => (set.SetIdentifier, set.Failover, set.HealthCheckId)));
        Assert.Equal("west", result.Region);
        await UndoAsync(records, result.Undo!);
        Assert.Equal(["east", "west"], (await records.ReadAsync(s_name, null, askServers: false, default)).Select(static set => set.Region));
    }

    [MotoFact]
    public async Task Plan_WhatRoute53WouldRefuse_IsRefusedInWordsThatHelp_Route53Trap2()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(
            zone,
            Weighted("e", 1, "east.example.test"),
            Weighted("w", 1, "west.example.test"),
            ScriptedRoute53.Simple("simple.example.test.", "CNAME", "east.example.test"),
            ScriptedRoute53.Simple("address.example.test.", "A", "192.0.2.1"),
            "<ResourceRecordSet><Name>alias.example.test.</Name><Type>A</Type><AliasTarget><HostedZoneId>ZELB</HostedZoneId><DNSName>dualstack.lb.example.org</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget></ResourceRecordSet>",
            "<ResourceRecordSet><Name>near.example.test.</Name><Type>A</Type><SetIdentifier>n</SetIdentifier><Region>eu-central-1</Region><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>");
        using DnsRecords records = Records(zone);

        await RefusedAsync(Values("x.example.test"), "a simple one cannot be beside them", "'e', 'w'");
        await RefusedAsync(Values("x.example.test") with { SetIdentifier = "none" }, "has no record 'none'", "'e', 'w'");
        await RefusedAsync(To(new DnsTarget("north", "north.example.test")), "None of the weighted records", "-SetIdentifier");
        await RefusedAsync(Named("simple", "x.example.test") with { SetIdentifier = "e", Weight = 1 }, "a weighted one cannot be beside it", "Leave -SetIdentifier out");
        await RefusedAsync(Named("simple", "x.example.test") with { Weight = 1 }, "a weight is given", "Leave -Weight out");
        await RefusedAsync(Named("simple", "192.0.2.1"), "is a CNAME", "-Type CNAME");
        await RefusedAsync(Named("address", "x.example.test"), "a CNAME has nothing beside it", "-Type A");
        await RefusedAsync(Named("alias", "192.0.2.1"), "is an alias of dualstack.lb.example.org", "-ReplaceAlias");
        await RefusedAsync(Named("near", "192.0.2.1"), "chosen by Latency", "Route 53 itself");
        await RefusedAsync(Values("x.example.test") with { Name = DnsName.Parse("example.test") }, "is the zone itself", "-Type A");
        await RefusedAsync(Values("x.example.test") with { Name = DnsName.Parse("api.example.org") }, "does not lie in", "hostedZoneId");

        async Task RefusedAsync(DnsRecordRequest request, string message, string advice)
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => records.PlanAsync(request, default));
            Assert.Equal(SmcErrorCode.DnsRecordUnsuitable, error.Code);
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
            Assert.Contains(advice, error.Recommendation, StringComparison.Ordinal);
        }
    }

    [MotoFact]
    public async Task Set_Alias_IsReplacedWhenAskedAndComesBackAsItWas()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(
            zone,
            "<ResourceRecordSet><Name>api.example.test.</Name><Type>A</Type><AliasTarget><HostedZoneId>ZELB</HostedZoneId><DNSName>dualstack.east.example.test.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget></ResourceRecordSet>");
        using DnsRecords records = Records(zone);
        Assert.Equal("east", Assert.Single(await records.ReadAsync(s_name, null, askServers: false, default)).Region);

        DnsChangeResult result = await ApplyAsync(records, Values("192.0.2.1") with { ReplaceAlias = true }, s_quick with { AskServers = false });
        Assert.Equal(("alias of dualstack.east.example.test", "192.0.2.1 (TTL 60)", 60), (result.Before, result.After, result.OldAnswerSeconds));

        await UndoAsync(records, result.Undo!);
        DnsRecordInfo back = Assert.Single(await records.ReadAsync(s_name, null, askServers: false, default));
        Assert.Equal(("dualstack.east.example.test", (int?)null), (back.AliasTarget, back.TtlSeconds));
    }

    [MotoFact]
    public async Task Set_RegionOfANameWithAddressesOfBothKinds_ChangesBoth()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "A", "192.0.2.1"), ScriptedRoute53.Simple("api.example.test.", "AAAA", "2001:db8::1"));
        using DnsRecords records = Records(zone);

        DnsChangePlan four = await records.PlanAsync(To(new DnsTarget("four", "192.0.2.9")) with { Type = "A" }, default);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => records.PlanAsync(To(new DnsTarget("four", "192.0.2.9")), default));
        DnsChangeResult both = await ApplyAsync(records, Values("192.0.2.2", "2001:DB8::2"), s_quick with { AskServers = false });

        Assert.Equal("192.0.2.9", Assert.Single(Assert.Single(four.Changes).After!.Values));
        Assert.Contains("'four'", error.Message, StringComparison.Ordinal);
        Assert.Equal(("A, AAAA", "192.0.2.2 (TTL 60); 2001:db8::2 (TTL 60)"), (both.Type, both.After));
    }

    [MotoFact]
    public async Task Set_Wildcard_IsChangedAndNotDoubled_Route53Trap3()
    {
        string zone = await moto.CreateZoneAsync();
        DnsRecordRequest request = Values("east.example.test") with { Name = DnsName.Parse(@"\052.example.test.") };
        using DnsRecords records = Records(zone);
        await ApplyAsync(records, request, s_quick with { AskServers = false });

        DnsChangeResult result = await ApplyAsync(records, request with { Name = DnsName.Parse("*.example.test"), Values = ["west.example.test"] }, s_quick with { AskServers = false });

        Assert.Equal("east.example.test (TTL 60)", result.Before);
        Assert.Single(await records.ReadAsync(DnsName.Parse("*.example.test"), null, askServers: false, default));
    }

    [MotoFact]
    public async Task Undo_OfWhatSomebodyChangedSince_IsRefusedUnlessForced()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test"));
        using DnsRecords records = Records(zone);
        DnsChangeResult ours = await ApplyAsync(records, To(s_west), s_quick with { AskServers = false });
        await ApplyAsync(records, Values("third.example.test"), s_quick with { AskServers = false });

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => records.PlanUndoAsync(DnsUndo.Parse(ours.Undo!), false, default));
        Assert.Equal(SmcErrorCode.DnsRecordUnsuitable, error.Code);
        Assert.Contains("third.example.test", error.Message, StringComparison.Ordinal);
        Assert.Contains("-Force", error.Recommendation, StringComparison.Ordinal);

        DnsChangePlan forced = await records.PlanUndoAsync(DnsUndo.Parse(ours.Undo!), true, default);
        Assert.Equal("east.example.test (TTL 60)", (await records.ApplyAsync(forced, s_quick with { AskServers = false }, default)).After);

        using DnsRecords other = Records(await moto.CreateZoneAsync());
        error = await Assert.ThrowsAsync<SmcException>(() => other.PlanUndoAsync(DnsUndo.Parse(ours.Undo!), false, default));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("""{"format":"smcdr-dns-change-2","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[{"before":{"name":"a.b.","type":"A","ttl":60,"values":["192.0.2.1"]}}]}""")]
    [InlineData("""{"format":"smcdr-dns-change-1","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[]}""")]
    [InlineData("""{"format":"smcdr-dns-change-1","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[{}]}""")]
    [InlineData("""{"format":"smcdr-dns-change-1","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[null]}""")]
    [InlineData("""{"format":"smcdr-dns-change-1","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[{"before":{"name":"a.b.","type":"A","values":["192.0.2.1"]}}]}""")]
    [InlineData("""{"format":"smcdr-dns-change-1","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[{"before":{"name":"a..b.","type":"A","ttl":60,"values":["192.0.2.1"]}}]}""")]
    [InlineData("""{"format":"smcdr-dns-change-1","zoneId":"Z1","time":"2026-11-05T10:00:00Z","changes":[{"before":{"name":"a.b.","type":"A","ttl":60,"values":["192.0.2.1"]},"after":{"name":"c.b.","type":"A","ttl":60,"values":["192.0.2.1"]}}]}""")]
    public void Undo_OfSomethingElse_IsRefused(string json) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => DnsUndo.Parse(json)).Code);

    [MotoFact]
    public async Task Apply_SomeServersDoNotAnswerSo_IsPartial()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test"));
        await using DnsmasqServer current = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");
        await using DnsmasqServer old = await DnsmasqServer.StartAsync("--cname=api.example.test,east.example.test,60");
        using DnsRecords records = Records(zone, current.Endpoint, old.Endpoint);

        DnsChangeResult result = await ApplyAsync(records, To(s_west), s_quick);

        Assert.Equal(DnsStates.Partial, result.State);
        Assert.Contains(old.Endpoint, Assert.Single(result.Problems), StringComparison.Ordinal);
        Assert.Null(s_quick.FindFailure(result));
        Assert.Null(result.ServedTime);
    }

    [MotoFact]
    public async Task Apply_PrivateZone_AsksNoServer()
    {
        string zone = await moto.CreateZoneAsync(isPrivate: true);
        using DnsRecords records = Records(zone);

        DnsChangeResult result = await ApplyAsync(records, To(s_west), s_quick);

        Assert.Equal(DnsStates.InSync, result.State);
        Assert.Empty(result.Servers);
        Assert.Contains(_observer.Verboses, static message => message.Contains("in its VPCs only", StringComparison.Ordinal));
    }

    [MotoFact]
    public async Task Apply_Probe_AsksTheApplicationAtTheNewPlaceUnderTheRecordsName()
    {
        string zone = await moto.CreateZoneAsync();
        using TcpListener application = new(IPAddress.Loopback, 0);
        application.Start();
        int port = ((IPEndPoint)application.LocalEndpoint).Port;
        int status = 200;
        string asked = "";
        _ = Task.Run(async () =>
        {
            while (true)
            {
                using TcpClient client = await application.AcceptTcpClientAsync();
                byte[] buffer = new byte[4096];
                asked = Encoding.ASCII.GetString(buffer, 0, await client.GetStream().ReadAsync(buffer));
                await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
            }
        });
        DnsApplyOptions options = s_quick with { AskServers = false, ProbeUrl = new Uri($"http://api.example.test:{port}/health") };
        using DnsRecords records = Records(zone);

        DnsChangeResult well = await ApplyAsync(records, Values("127.0.0.1"), options);
        Assert.Equal((DnsStates.InSync, 200), (well.State, well.ProbeStatus));
        Assert.StartsWith("GET /health ", asked, StringComparison.Ordinal);
        Assert.Contains($"Host: api.example.test:{port}", asked, StringComparison.Ordinal);

        status = 503;
        DnsChangeResult ill = await ApplyAsync(records, Values("127.0.0.1"), options);
        Assert.Equal((DnsStates.Partial, 503), (ill.State, ill.ProbeStatus));
        Assert.Contains("503", Assert.Single(ill.Problems), StringComparison.Ordinal);

        application.Stop();
        DnsChangeResult away = await ApplyAsync(records, Values("127.0.0.1"), options);
        Assert.Equal((DnsStates.Partial, (int?)null), (away.State, away.ProbeStatus));
    }

    private DnsRecords Records(string zone, params string[] nameServers) => moto.Records(zone, [s_east, s_west], nameServers, _observer);

    private static async Task<DnsChangeResult> ApplyAsync(DnsRecords records, DnsRecordRequest request, DnsApplyOptions options) =>
        await records.ApplyAsync(await records.PlanAsync(request, default), options, default);

    private static async Task<DnsChangeResult> UndoAsync(DnsRecords records, string undo) =>
        await records.ApplyAsync(await records.PlanUndoAsync(DnsUndo.Parse(undo), force: false, default), s_quick, default);

    private static DnsRecordRequest To(DnsTarget target) => new() { Name = s_name, Target = target };

    private static DnsRecordRequest Values(params string[] values) => new() { Name = s_name, Values = values };

    private static DnsRecordRequest Named(string name, string value) => Values(value) with { Name = DnsName.Parse(name + ".example.test") };

    private static string Weighted(string identifier, int weight, string value, string? check = null) => Group(identifier, $"<Weight>{weight}</Weight>", value, check);

    private static string Group(string identifier, string routing, string value, string? check = null) =>
        $"<ResourceRecordSet><Name>api.example.test.</Name><Type>CNAME</Type><SetIdentifier>{identifier}</SetIdentifier>{routing}<TTL>60</TTL>"
        + $"<ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>{(check is null ? "" : $"<HealthCheckId>{check}</HealthCheckId>")}</ResourceRecordSet>";
}
