using System.Text.Json;
using SmcDr.Core.Dns;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
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

    /// <summary>Whoever is killed while Route 53 has the change must be able to take it back: afterwards nobody knows what was there.</summary>
    [MotoFact]
    public async Task SwitchDns_WhatTakesItBack_IsInTheJournalBeforeTheChangeIsSent()
    {
        await using ScriptedRoute53 route53 = new()
        {
            RecordSets = ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test"),
            RecordSetsAfterChange = ScriptedRoute53.Simple("api.example.test.", "CNAME", "west.example.test"),
        };
        JsonElement? saved = null;
        JsonElement? savedBefore = null;
        route53.Fault = context =>
        {
            savedBefore = context.Request.HttpMethod == "POST" ? saved : savedBefore;
            return null;
        };
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");
        SitePlanContext site = new()
        {
            Site = SiteFile.Parse(
                $$"""
                name: web
                repository: { location: "file:///srv/repository" }
                dns:
                  hostedZoneId: {{ScriptedRoute53.ZoneId}}
                  record: api.example.test
                  endpoint: "{{route53.Options.Endpoint}}"
                  nameServers: [ "{{server.Endpoint}}" ]
                regions:
                  east: { role: primary, endpoint: east.example.test }
                  west: { role: standby, endpoint: west.example.test }
                """,
                "/etc/smcdr.yaml"),
            Secrets = new SecretResolver(),
            Repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default),
            Observer = NullObserver.Instance,
        };
        SwitchDnsStep step = new(new FailoverWork(site, new RegionFailoverIntent { From = "east", To = "west", Epoch = 1, SystemId = "1", Timeline = 1 }));
        StepContext context = new(
            SwitchDnsStep.StepKey,
            null,
            false,
            new StepOutputs(),
            (output, _) =>
            {
                saved = output.Clone();
                return Task.CompletedTask;
            },
            NullObserver.Instance);
        (string Name, string? Value)[] before =
            [.. new[] { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY" }.Select(static name => (name, Environment.GetEnvironmentVariable(name)))];
        Array.ForEach(before, static one => Environment.SetEnvironmentVariable(one.Name, "smcdr-tests"));
        try
        {
            Assert.Contains("It leads to west.example.test", await step.ActAsync(context, default), StringComparison.Ordinal);
        }
        finally
        {
            Array.ForEach(before, static one => Environment.SetEnvironmentVariable(one.Name, one.Value));
        }

        Assert.Single(route53.Changes);
        DnsUndo undo = DnsUndo.Parse(savedBefore!.Value.GetProperty("undo").GetString()!);
        Assert.Equal("east.example.test", Assert.Single(Assert.Single(undo.Changes).Before!.Values).TrimEnd('.'));
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
