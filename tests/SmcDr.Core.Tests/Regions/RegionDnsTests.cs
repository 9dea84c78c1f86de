using System.Text.Json;
using SmcDr.Core.Tests.Dns;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Regions;

/// <summary>A failover that leads clients over, with moto for Route 53 and a real DNS server for the zone's.</summary>
[Collection(MotoTests.Name)]
public sealed class RegionDnsTests(MotoServer moto)
{
    [MotoFact]
    public async Task Failover_SiteWithDns_TheRecordLeadsToTheNewRegion()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test", 60));
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync(
            $"dns: {{ hostedZoneId: {zone}, record: api.example.test, endpoint: \"{moto.Endpoint}\", nameServers: [ \"{server.Endpoint}\" ] }}");
        Assert.True((await lab.LookAsync("east")).GetProperty("dnsLeadsHere").GetBoolean());
        Assert.False((await lab.LookAsync("west")).GetProperty("dnsLeadsHere").GetBoolean());
        await lab.Primary.KillAsync();

        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");

        Assert.Equal("Succeeded", RegionFailoverTests.StateOf(steps, "switch-dns"));
        Assert.True((await lab.LookAsync("west")).GetProperty("dnsLeadsHere").GetBoolean());
    }

    [MotoFact]
    public async Task Failback_SiteWithDns_TheRecordLeadsBackAndCanBeTakenBack()
    {
        string zone = await moto.CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test", 60));
        await using ZoneServer server = await ZoneServer.StartAsync(moto, zone);
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync(
            $"dns: {{ hostedZoneId: {zone}, record: api.example.test, endpoint: \"{moto.Endpoint}\", nameServers: [ \"{server.Endpoint}\" ] }}");
        await lab.Primary.KillAsync();
        JsonElement steps = await lab.SucceedAsync("region", "failover", "--yes");
        Assert.Contains("It leads to west.example.test", RegionFailoverTests.DetailOf(steps, "switch-dns"), StringComparison.Ordinal);
        Assert.Equal([("api.example.test", "west.example.test")], await moto.ReadAliasesAsync(zone));
        Assert.True((await lab.LookAsync("west")).GetProperty("dnsLeadsHere").GetBoolean());

        steps = await lab.SucceedAsync("region", "failback", "--yes");

        // Clients are led back when the region takes writes, and not before.
        Assert.Equal("Succeeded", RegionFailoverTests.StateOf(steps, "switch-dns"));
        Assert.Contains("It leads to east.example.test", RegionFailoverTests.DetailOf(steps, "switch-dns"), StringComparison.Ordinal);
        Assert.Contains("verify-region", RegionFailoverTests.Step(steps, "switch-dns").GetProperty("after").EnumerateArray().Select(static key => key.GetString()));
        Assert.Equal([("api.example.test", "east.example.test")], await moto.ReadAliasesAsync(zone));
        Assert.True((await lab.LookAsync("east")).GetProperty("dnsLeadsHere").GetBoolean());
        Assert.False((await lab.LookAsync("west")).GetProperty("dnsLeadsHere").GetBoolean());

        // What takes the change back stands in the result, and does so.
        string undo = Path.Combine(lab.Root, "undo.json");
        await File.WriteAllTextAsync(
            undo, RegionFailoverTests.Step(steps, "report-failover").GetProperty("failover").GetProperty("dnsUndo").GetString());
        await lab.SucceedAsync("dns", "undo", undo, "--yes");
        Assert.Equal([("api.example.test", "west.example.test")], await moto.ReadAliasesAsync(zone));
    }
}
