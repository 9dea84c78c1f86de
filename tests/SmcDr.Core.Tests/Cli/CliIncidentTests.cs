using System.Text.Json;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Notifications;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliIncidentTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Incident_WhatCommandsDo_IsInItsTimeline()
    {
        WriteSite("");
        Assert.Equal(0, (await RunAsync("backup", "filestore")).ExitCode);
        CliRun started = await RunAsync("incident", "start", "Files are gone", "--severity", "error", "--scenario", "ransomware", "--json");
        CliRun backup = await RunAsync("--site", "smcdr.yaml", "backup", "filestore", "--label", "before it", "--exclude", "*.log");
        CliRun failed = await RunAsync("restore", "filestore", "tree", "--backup", "20260101T000000Z-full", "--yes");
        CliRun planned = await RunAsync("retention", "--dry-run");
        CliRun listed = await RunAsync("backup", "list");
        CliRun fetched = await RunAsync("wal", "fetch", "000000010000000000000001", "segment", "--cluster", "7000000000000000001");
        CliRun noted = await RunAsync("incident", "note", "The volume is back", "--phase", "recovery", "--json");
        CliRun stopped = await RunAsync("incident", "stop", "--summary", "All is there", "--root-cause", "A script", "--json");
        CliRun after = await RunAsync("backup", "filestore");
        CliRun shown = await RunAsync("incident", "show");
        CliRun list = await RunAsync("incident", "list", "--json");
        CliRun again = await RunAsync("incident", "stop", "--summary", "Over");

        Assert.Equal((0, 0, 0, 0, 0), (started.ExitCode, backup.ExitCode, listed.ExitCode, noted.ExitCode, after.ExitCode));
        Assert.Equal("Ransomware", started.Json.GetProperty("scenario").GetString());
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Equal(0, planned.ExitCode);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ObjectNotFound).ExitCode, fetched.ExitCode);
        JsonElement[] timeline = [.. stopped.Json.GetProperty("timeline").EnumerateArray()];
        Assert.Equal(["Opened", "Command", "Command", "Note", "Closed"], timeline.Select(static entry => entry.GetProperty("kind").GetString()));
        Assert.Equal("smcdr backup filestore --label 'before it' --exclude *.log", timeline[1].GetProperty("text").GetString());
        Assert.Equal("Succeeded", timeline[1].GetProperty("outcome").GetString());
        Assert.Equal("Failed", timeline[2].GetProperty("outcome").GetString());
        Assert.NotEqual("", timeline[2].GetProperty("problem").GetString());
        Assert.Equal("Recovery", timeline[3].GetProperty("phase").GetString());
        Assert.Contains("Closed", shown.Out, StringComparison.Ordinal);
        Assert.Contains("A script", shown.Out, StringComparison.Ordinal);
        Assert.Single(list.Json.EnumerateArray());
        Assert.Equal(SmcErrors.Get(SmcErrorCode.IncidentUnsuitable).ExitCode, again.ExitCode);
    }

    [Fact]
    public async Task Incident_WithChannels_TellsThemTwiceAndQuietlyNobody()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200", "200", "500");
        WriteSite(receiver.Url);
        await RunAsync("backup", "filestore");

        CliRun started = await RunAsync("incident", "start", "Files are gone");
        JsonElement opened = JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;
        CliRun stopped = await RunAsync("incident", "stop", "--summary", "All is there");
        JsonElement closed = JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;
        CliRun quiet = await RunAsync("incident", "start", "Exercise", "--no-alert");

        Assert.Equal((0, 0, 0), (started.ExitCode, stopped.ExitCode, quiet.ExitCode));
        Assert.Equal("Incident opened: Files are gone", opened.GetProperty("title").GetString());
        Assert.Contains("DBA: dba@example.com", opened.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Equal("Incident closed: Files are gone", closed.GetProperty("title").GetString());
        Assert.Equal(opened.GetProperty("key").GetString(), closed.GetProperty("key").GetString());
        Assert.Empty(await receiver.EndAsync());
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory.Path, arguments);

    private void WriteSite(string url)
    {
        Directory.CreateDirectory(Path.Combine(_directory.Path, "tree"));
        string secret = Path.Combine(_directory.Path, "hook");
        File.WriteAllText(secret, url);
        File.SetUnixFileMode(secret, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllText(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-incident
            repository: { location: repository }
            regions: { here: { role: primary } }
            fileStores: [ { name: tree, path: tree } ]
            contacts: [ { role: DBA, address: dba@example.com } ]
            {{(url.Length > 0 ? "notifications: [ { webhook: \"file:hook\" } ]" : "")}}

            """);
    }
}
