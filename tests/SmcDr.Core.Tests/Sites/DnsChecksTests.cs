using System.Net;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Dns;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Sites;

/// <summary>What Test-SmcSite says of DNS beforehand.</summary>
[Collection(MotoTests.Name)]
public sealed class DnsChecksTests(MotoServer moto)
{
    [MotoFact]
    public async Task Run_AllIsWell_Passes()
    {
        // A name of its own: other tests leave zones of the same name.
        (string zone, string name) = await CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple($"api.{name}.", "A", "127.0.0.1"));
        await using DnsmasqServer server = await DnsmasqServer.StartAsync($"--auth-zone={name}", $"--host-record=api.{name},127.0.0.1");

        Dictionary<string, CheckResult> results = await RunAsync(zone, $"api.{name}", server.Endpoint, "localhost");

        Assert.Equal(["DnsZone", "DnsRecord", "DnsTtl", "DnsServers", "DnsEndpoints"], results.Keys);
        Assert.All(results.Values, static result => Assert.True(result.Outcome == CheckOutcomes.Passed, result.Message));
        Assert.Contains("leads to east, the primary region", results["DnsRecord"].Message, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task Run_LongTtl_WarnsBeforeTheDisaster_Route53Trap2()
    {
        (string zone, string name) = await CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple($"api.{name}.", "A", "127.0.0.1", 300));

        CheckResult result = (await RunAsync(zone, $"api.{name}", "127.0.0.1:1", "localhost"))["DnsTtl"];

        Assert.Equal(CheckOutcomes.Warning, result.Outcome);
        Assert.Contains("5 min", result.Message, StringComparison.Ordinal);
        Assert.Contains("-Ttl 60", result.Recommendation, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task Run_PrivateZoneBesideAPublicOne_IsTold_Route53Trap3()
    {
        (string open, string name) = await CreateZoneAsync();
        string closed = await moto.CreateZoneAsync(name, isPrivate: true);
        await moto.AddAsync(open, ScriptedRoute53.Simple($"api.{name}.", "A", "127.0.0.1"));

        CheckResult fromOpen = (await RunAsync(open, $"api.{name}", "127.0.0.1:1", "localhost"))["DnsZone"];
        Dictionary<string, CheckResult> fromClosed = await RunAsync(closed, $"api.{name}", null, "localhost");

        Assert.Equal(CheckOutcomes.Warning, fromOpen.Outcome);
        Assert.Contains($"private zone {closed}", fromOpen.Message, StringComparison.Ordinal);
        Assert.Contains($"zone {open}", fromClosed["DnsZone"].Message, StringComparison.Ordinal);
        Assert.Equal(CheckOutcomes.Failed, fromClosed["DnsRecord"].Outcome);
        Assert.Contains("-Region east", fromClosed["DnsRecord"].Recommendation, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task Run_WrongZone_NamesTheRightOneAndSkipsTheRest()
    {
        (string zone, string name) = await CreateZoneAsync();

        Dictionary<string, CheckResult> results = await RunAsync("Z0NOSUCHZONE", $"api.{name}", null, "nowhere.invalid");

        Assert.Equal(CheckOutcomes.Failed, results["DnsZone"].Outcome);
        Assert.Contains(zone, results["DnsZone"].Message, StringComparison.Ordinal);
        Assert.Equal(CheckOutcomes.Skipped, results["DnsServers"].Outcome);
        Assert.Equal(CheckOutcomes.Warning, results["DnsEndpoints"].Outcome);
        Assert.Contains("nowhere.invalid", results["DnsEndpoints"].Message, StringComparison.Ordinal);
        Assert.Contains("'west' has no endpoint", results["DnsEndpoints"].Message, StringComparison.Ordinal);
        Assert.Contains("does not lie in", (await RunAsync(zone, "api.elsewhere.test", null, "localhost"))["DnsZone"].Message, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task Run_RecordLeadsElsewhereAndServersSayOtherwise_IsTold()
    {
        (string zone, string name) = await CreateZoneAsync();
        await moto.AddAsync(zone, ScriptedRoute53.Simple($"api.{name}.", "A", "192.0.2.1"));
        await using DnsmasqServer server = await DnsmasqServer.StartAsync($"--auth-zone={name}", $"--host-record=api.{name},127.0.0.1");

        Dictionary<string, CheckResult> results = await RunAsync(zone, $"api.{name}", server.Endpoint, "localhost");

        Assert.Equal(CheckOutcomes.Warning, results["DnsRecord"].Outcome);
        Assert.Contains("leads to elsewhere", results["DnsRecord"].Message, StringComparison.Ordinal);
        Assert.Equal(CheckOutcomes.Failed, results["DnsServers"].Outcome);
        Assert.Contains("127.0.0.1", results["DnsServers"].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_NotAllowedToReadTheZone_Fails()
    {
        await using ScriptedRoute53 route53 = new();
        route53.Fault = static _ => (403, ScriptedRoute53.Error("AccessDenied", "User is not authorized to perform: route53:GetHostedZone"));
        Site site = SiteOf(ScriptedRoute53.ZoneId, "api.example.test", null, "localhost", route53.Options.Endpoint!.ToString());

        Dictionary<string, CheckResult> results = await CollectAsync(new DnsChecks(site, route53.Options, TimeProvider.System));

        Assert.Equal(CheckOutcomes.Failed, results["DnsZone"].Outcome);
        Assert.Contains("route53:GetHostedZone", results["DnsZone"].Recommendation, StringComparison.Ordinal);
    }

    private async Task<(string Zone, string Name)> CreateZoneAsync()
    {
        string name = $"z{Guid.NewGuid():N}.test";
        return (await moto.CreateZoneAsync(name), name);
    }

    private async Task<Dictionary<string, CheckResult>> RunAsync(string zone, string record, string? server, string east) =>
        await CollectAsync(new DnsChecks(SiteOf(zone, record, server, east, moto.Endpoint), moto.Route53(), TimeProvider.System));

    private static async Task<Dictionary<string, CheckResult>> CollectAsync(DnsChecks checks)
    {
        Dictionary<string, CheckResult> results = [];
        await foreach (CheckResult result in checks.RunAsync(CancellationToken.None))
        {
            results.Add(result.Name, result);
        }

        return results;
    }

    private static Site SiteOf(string zone, string record, string? server, string east, string endpoint) => SiteFile.Parse(
        $$"""
        name: orders
        repository: { location: /b }
        regions:
          east: { role: primary, endpoint: {{east}} }
          west: { role: standby{{(east == "nowhere.invalid" ? "" : ", endpoint: 127.0.0.2")}} }
        dns: { hostedZoneId: {{zone}}, record: {{record}}, endpoint: "{{endpoint}}"{{(server is null ? "" : $", nameServers: [ \"{server}\" ]")}} }
        """,
        "/srv/site/smcdr.yaml");
}
