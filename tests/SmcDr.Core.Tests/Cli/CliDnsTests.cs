using System.Text.Json;
using SmcDr.Core.Dns;
using SmcDr.Core.Tests.Dns;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

/// <summary>The commands by a site file. Credentials come from the environment, where AWS tools look.</summary>
[Collection(MotoTests.Name)]
public sealed class CliDnsTests : IDisposable
{
    private readonly MotoServer _moto;
    private readonly TemporaryDirectory _directory = new();
    private readonly (string Name, string? Value)[] _before;

    public CliDnsTests(MotoServer moto)
    {
        _moto = moto;
        _before = [.. new[] { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY" }.Select(static name => (name, Environment.GetEnvironmentVariable(name)))];
        foreach ((string name, _) in _before)
        {
            Environment.SetEnvironmentVariable(name, "smcdr-tests");
        }
    }

    public void Dispose()
    {
        foreach ((string name, string? value) in _before)
        {
            Environment.SetEnvironmentVariable(name, value);
        }

        _directory.Dispose();
    }

    [MotoFact]
    public async Task Commands_FromShowToUndo_WorkOnTheSitesRecord()
    {
        string zone = await _moto.CreateZoneAsync();
        await _moto.AddAsync(zone, ScriptedRoute53.Simple("api.example.test.", "CNAME", "east.example.test", 300));
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");
        await WriteSiteAsync(zone, $", nameServers: [ \"{server.Endpoint}\" ]");

        CliRun shown = await RunAsync("dns", "show", "--authoritative");
        Assert.Equal(0, shown.ExitCode);
        Assert.Matches(@"api\.example\.test +CNAME +300 +east\.example\.test +east +Simple +NotServed +.*Different west\.example\.test", shown.Out);

        CliRun planned = await RunAsync("dns", "set", "--region", "west", "--dry-run");
        Assert.Contains("changes from east.example.test (TTL 300) to west.example.test (TTL 60)", planned.Out, StringComparison.Ordinal);
        CliRun unasked = await RunAsync("dns", "set", "--region", "west");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unasked.ExitCode);
        Assert.Equal("east", Text((await JsonAsync("dns", "show"))[0], "region"));

        CliRun set = await RunAsync("dns", "set", "--region", "west", "--yes", "--json");
        Assert.True(set.ExitCode == 0, set.Error);
        Assert.Equal((DnsStates.Served, "west"), (Text(set.Json, "state"), Text(set.Json, "region")));
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "change.json"), set.Out);
        CliRun again = await RunAsync("dns", "set", "--region", "west");
        Assert.Contains("Served, nothing was changed", again.Out, StringComparison.Ordinal);
        Assert.Equal(0, again.ExitCode);

        CliRun undone = await RunAsync("dns", "undo", "change.json", "--yes", "--timeout", "0s");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.DnsNotServed).ExitCode, undone.ExitCode);
        Assert.Contains("east.example.test (TTL 300)", undone.Out, StringComparison.Ordinal);
        Assert.Contains("Id:    SmcDnsNotServed", undone.Error, StringComparison.Ordinal);
        JsonElement record = (await JsonAsync("dns", "show"))[0];
        Assert.Equal(("east", 300), (Text(record, "region"), record.GetProperty("ttlSeconds").GetInt32()));

        CliRun skipped = await RunAsync("dns", "undo", "change.json", "--yes", "--skip-authoritative", "--json");
        Assert.Equal((0, DnsStates.Unchanged), (skipped.ExitCode, Text(skipped.Json, "state")));
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "nothing.json"), skipped.Out);
        Assert.Contains("nothing to take back", (await RunAsync("dns", "undo", "nothing.json")).Error, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task Set_PartOfTheServers_IsPartial()
    {
        string zone = await _moto.CreateZoneAsync();
        await using DnsmasqServer server = await DnsmasqServer.StartAsync("--host-record=status.example.test,192.0.2.1");
        await WriteSiteAsync(zone, $", nameServers: [ \"{server.Endpoint}\", \"127.0.0.1:{PostgresServer.FreePort()}\" ]");

        CliRun run = await RunAsync("dns", "set", "--name", "status.example.test", "--value", "192.0.2.1", "--yes", "--timeout", "0s");

        Assert.Equal(3, run.ExitCode);
        Assert.Contains("Warning: 127.0.0.1:", run.Error, StringComparison.Ordinal);
        Assert.Contains("Partial", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SmcErrorCode.ArgumentInvalid, "--region or --value", "dns", "set")]
    [InlineData(SmcErrorCode.ArgumentInvalid, "east, west", "dns", "set", "--region", "north")]
    [InlineData(SmcErrorCode.ArgumentInvalid, "604800", "dns", "set", "--region", "west", "--ttl", "-1")]
    [InlineData(SmcErrorCode.ArgumentInvalid, "was printed to", "dns", "undo", "none.json")]
    [InlineData(SmcErrorCode.ArgumentInvalid, "api.example.com", "dns", "show", "--name", "a..b")]
    public async Task Commands_WrongArguments_AreRefusedBeforeRoute53IsAsked(SmcErrorCode code, string advice, params string[] arguments)
    {
        await WriteSiteAsync("Z1", "", "http://127.0.0.1:1");

        CliRun run = await RunAsync(arguments);

        Assert.Equal(SmcErrors.Get(code).ExitCode, run.ExitCode);
        Assert.Contains(advice, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dns: { hostedZoneId: Z1, record: api.example.test, probe: \"https://other.example.test/health\" }", "is not one of api.example.test")]
    [InlineData("dns: { hostedZoneId: /hostedzone/Z1, record: api.example.test }", "the id of a hosted zone")]
    [InlineData("dns: { hostedZoneId: Z1, record: api.example.test, recordType: MX }", "A, AAAA or CNAME")]
    [InlineData("dns: { hostedZoneId: Z1, record: East.example.test. }", "cannot lead to itself")]
    public async Task SiteFile_WrongSettings_AreErrors(string dns, string problem)
    {
        await File.WriteAllTextAsync(
            Path.Combine(_directory.Path, "smcdr.yaml"),
            $"name: orders\nrepository: {{ location: /b }}\nregions: {{ east: {{ role: primary, endpoint: east.example.test }} }}\n{dns}\n");

        CliRun run = await RunAsync("dns", "show");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.SiteInvalid).ExitCode, run.ExitCode);
        Assert.Contains(problem, run.Error, StringComparison.Ordinal);
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        CliRun run = await RunAsync([.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, run.Error);
        return run.Json;
    }

    private Task WriteSiteAsync(string zone, string more, string? endpoint = null) => File.WriteAllTextAsync(
        Path.Combine(_directory.Path, "smcdr.yaml"),
        $$"""
        name: orders
        repository: { location: "file://{{_directory.Path}}/repository" }
        regions:
          east: { role: primary, endpoint: east.example.test }
          west: { role: standby, endpoint: west.example.test }
        dns: { hostedZoneId: {{zone}}, record: api.example.test, endpoint: "{{endpoint ?? _moto.Endpoint}}"{{more}} }
        """);

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory.Path, arguments);
}
