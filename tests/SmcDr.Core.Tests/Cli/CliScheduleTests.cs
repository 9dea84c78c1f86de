using System.Text.Json;
using SmcDr.Cli;
using SmcDr.Core.Schedules;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Notifications;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliScheduleTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Schedule_ShowAndOutputDirectory_ChangeNothingElse()
    {
        WriteSite("");
        string units = Path.Combine(_directory.Path, "out");

        CliRun shown = await RunAsync("schedule", "show", "--kind", "systemdTimer", "--program", "/usr/bin/smcdr");
        CliRun planned = await RunAsync("schedule", "register", "--kind", "systemdTimer", "--program", "/usr/bin/smcdr", "--dry-run", "--json");
        CliRun written = await RunAsync(
            "schedule", "register", "--kind", "systemdTimer", "--program", "/usr/bin/smcdr", "--task", "monitor", "--output-directory", "out", "--json");
        CliRun unknown = await RunAsync("schedule", "show", "--kind", "crontab", "--program", "/usr/bin/smcdr", "--task", "everything");

        Assert.Equal(0, shown.ExitCode);
        Assert.Contains("OnCalendar=*-*-* 00,06,12,18:00:00 UTC", shown.Out, StringComparison.Ordinal);
        Assert.Equal(["Planned", "Planned"], planned.Json.EnumerateArray().Select(static one => one.GetProperty("state").GetString()));
        Assert.Equal(["smcdr-cli-schedule-monitor.service", "smcdr-cli-schedule-monitor.timer"], Directory.GetFiles(units).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal("Written", Assert.Single(written.Json.EnumerateArray()).GetProperty("state").GetString());
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unknown.ExitCode);
        Assert.Contains("recoveryTest", unknown.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schedule_Register_NeedsAConfirmation()
    {
        WriteSite("");

        CliRun run = await RunAsync("schedule", "register", "--kind", "systemdTimer", "--program", "/usr/bin/smcdr", "--unit-directory", "units");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, run.ExitCode);
        Assert.False(Directory.Exists(Path.Combine(_directory.Path, "units")));
    }

    [Fact]
    public async Task Schedule_RunOfTheMonitor_AlertsWhereItFailsAndTellsTheHeartbeatWhereAllIsWell()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200", "200");
        WriteSite(receiver.Url);
        CliRun failed = await RunAsync("schedule", "run", "monitor", "--quiet");
        JsonElement alert = JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;
        Directory.CreateDirectory(Path.Combine(_directory.Path, "tree"));

        CliRun backup = await RunAsync("schedule", "run", "fileStore", "--quiet");
        CliRun well = await RunAsync("schedule", "run", "monitor", "--quiet");
        JsonElement beat = await receiver.NextAsync();

        Assert.Equal(SmcErrors.Get(SmcErrorCode.RepositoryNotFound).ExitCode, failed.ExitCode);
        Assert.StartsWith("Scheduled work failed: monitor", alert.GetProperty("title").GetString(), StringComparison.Ordinal);
        Assert.Equal("schedule/monitor", alert.GetProperty("key").GetString());
        Assert.Contains("repository", alert.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Contains("repository", failed.Error, StringComparison.Ordinal);
        Assert.Equal((0, 0), (backup.ExitCode, well.ExitCode));
        Assert.Equal("GET", beat.GetProperty("method").GetString());
        Assert.Equal(("", ""), (well.Out, well.Error));
    }

    /// <summary>A run that hangs keeps all that follow from beginning: nobody would hear of it if those were well.</summary>
    [Fact]
    public async Task Schedule_RunBesideOneThatHangs_FailsAndAlerts()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        WriteSite(receiver.Url);
        string state = Path.Combine(_directory.Path, "state");
        using TaskHold hold = TaskHold.TryTake(state, "cli-schedule", "fileStore")!;

        CliRun busy = await RunBesideAsync();
        File.SetLastWriteTimeUtc(Path.Combine(state, "schedule-cli-schedule-fileStore.lock"), DateTime.UtcNow.AddDays(-3));
        CliRun hanging = await RunBesideAsync();
        JsonElement alert = JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;

        Assert.Equal(0, busy.ExitCode);
        Assert.Contains("still runs on this host since 2", busy.Error, StringComparison.Ordinal);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.OperationInProgress).ExitCode, hanging.ExitCode);
        Assert.Contains("longer than 2 d", hanging.Error, StringComparison.Ordinal);
        Assert.Equal("schedule/fileStore", alert.GetProperty("key").GetString());
        Assert.Contains("it hangs", alert.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Empty(await receiver.EndAsync());

        async Task<CliRun> RunBesideAsync()
        {
            StringWriter output = new();
            StringWriter error = new();
            CliHost host = new(new StringReader(""), output, error)
            {
                Environment = name => name == "SMCDR_STATE_DIR" ? state : null,
                CurrentDirectory = _directory.Path,
            };
            int exitCode = await new CliApplication(host).RunAsync(["schedule", "run", "fileStore", "--quiet"], default);
            return new CliRun(exitCode, output.ToString(), error.ToString());
        }
    }

    [Fact]
    public async Task Schedule_RunOfWhatIsNoTask_IsRefused()
    {
        WriteSite("");

        CliRun run = await RunAsync("schedule", "run", "everything");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, run.ExitCode);
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory.Path, arguments);

    private void WriteSite(string url)
    {
        string secret = Path.Combine(_directory.Path, "hook");
        File.WriteAllText(secret, url);
        File.SetUnixFileMode(secret, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllText(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-schedule
            repository: { location: repository }
            regions: { here: { role: primary } }
            fileStores: [ { name: tree, path: tree } ]
            schedules: { fileStore: "0 */6 * * *", monitor: "0 8 * * *" }
            {{(url.Length > 0 ? "notifications: [ { webhook: \"file:hook\" } ]\nalerts: { heartbeatUrl: \"file:hook\" }" : "")}}

            """);
    }
}
