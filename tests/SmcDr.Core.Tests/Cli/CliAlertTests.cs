using System.Text.Json;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Notifications;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliAlertTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Alert_Send_TellsByItsExitCodeAndHidesTheAddress()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200", "403");
        WriteSite(receiver.Url);

        CliRun planned = await RunAsync("alert", "send", "--title", "Disk full", "--dry-run", "--json");
        CliRun sent = await RunAsync("alert", "send", "--title", "Disk full", "--severity", "critical", "--field", "Host=db1", "--field", "Free=0=none", "--json");
        JsonElement body = JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;
        CliRun failed = await RunAsync("alert", "send", "--title", "Disk full");

        Assert.Equal("Planned", Assert.Single(planned.Json.EnumerateArray()).GetProperty("state").GetString());
        Assert.Equal((0, "Sent"), (sent.ExitCode, Assert.Single(sent.Json.EnumerateArray()).GetProperty("state").GetString()));
        Assert.Equal("critical", body.GetProperty("severity").GetString());
        Assert.Equal("0=none", body.GetProperty("fields").GetProperty("Free").GetString());
        Assert.Equal(SmcErrors.Get(SmcErrorCode.AlertNotDelivered).ExitCode, failed.ExitCode);
        Assert.Contains("answers 403", failed.Error, StringComparison.Ordinal);
        Assert.Contains("Failed", failed.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", failed.Out + failed.Error + sent.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("alert", "send")]
    [InlineData("alert", "send", "--title", "a", "--severity", "bad")]
    [InlineData("alert", "send", "--title", "a", "--severity", "2")]
    [InlineData("alert", "send", "--title", "a", "--field", "hunter2")]
    [InlineData("alert", "send", "--title", "a", "--channel", "pager")]
    public async Task Alert_WrongArguments_AreRefused(params string[] arguments)
    {
        WriteSite("https://hooks.invalid/");
        CliRun run = await RunAsync(arguments);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, run.ExitCode);
        Assert.DoesNotContain("hunter2", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Alert_Heartbeat_IsSent()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200", "404");
        WriteSite(receiver.Url);

        CliRun sent = await RunAsync("alert", "heartbeat");
        CliRun failed = await RunAsync("alert", "heartbeat");

        Assert.Equal(0, sent.ExitCode);
        Assert.Equal("GET", (await receiver.NextAsync()).GetProperty("method").GetString());
        Assert.Equal(SmcErrors.Get(SmcErrorCode.AlertNotDelivered).ExitCode, failed.ExitCode);
        Assert.DoesNotContain("hunter", failed.Error, StringComparison.Ordinal);
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory.Path, arguments);

    private void WriteSite(string url)
    {
        string secret = Path.Combine(_directory.Path, "hook");
        File.WriteAllText(secret, url);
        File.SetUnixFileMode(secret, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllText(Path.Combine(_directory.Path, "smcdr.yaml"), """
            name: cli-alerts
            repository: { location: repository }
            regions: { here: { role: primary } }
            notifications: [ { webhook: "file:hook" } ]
            alerts: { heartbeatUrl: "file:hook" }

            """);
    }
}
