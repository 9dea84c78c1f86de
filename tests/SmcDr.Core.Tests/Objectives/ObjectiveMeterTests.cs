using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using SmcDr.Cli;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Cli;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Notifications;

namespace SmcDr.Core.Tests.Objectives;

public sealed class ObjectiveMeterTests : IDisposable
{
    private const string PasswordVariable = "SMCDR_TEST_OBJECTIVE_PASSWORD";
    private readonly TemporaryDirectory _directory = new();
    private readonly string _place = PostgresPrograms.CreateDirectory();
    private readonly ShiftedClock _clock = new();

    public ObjectiveMeterTests()
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_directory.Path, File.GetUnixFileMode(_directory.Path) | UnixFileMode.OtherExecute);
        }
    }

    public void Dispose()
    {
        _directory.Dispose();
        Directory.Delete(_place, recursive: true);
    }

    [LinuxFact]
    public async Task MeasureAsync_FileStore_FollowsBackupsRecoveriesAndTime()
    {
        string store = Directory.CreateDirectory(Path.Combine(_directory.Path, "store")).FullName;
        await File.WriteAllBytesAsync(Path.Combine(store, "data"), new byte[200_000]);
        WriteSite($"""
            objectives: {"{"} fileStore: {"{"} rpo: 1h, rto: 10m {"}"}, redis: {"{"} rpo: 1h {"}"} {"}"}
            regions: {"{"} here: {"{"} role: primary {"}"} {"}"}
            fileStores: [ {"{"} name: config, path: {store} {"}"}, {"{"} name: other, path: {store} {"}"} ]
            """);
        await RunAsync(0, "backup", "filestore", "config");

        Dictionary<string, ObjectiveResult> first = await MeasureAsync();
        Assert.Equal(["Redis", "config", "other"], first.Keys);
        Assert.Equal("Unknown", first["Redis"].Verdict);
        Assert.Equal(("Missed", "Missed", "Missed"), (first["other"].Verdict, first["other"].RpoVerdict, first["other"].RtoVerdict));
        Assert.Null(first["other"].LossSeconds);
        ObjectiveResult config = first["config"];
        Assert.Equal(("Unknown", "Met", "Unknown"), (config.Verdict, config.RpoVerdict, config.RtoVerdict));
        Assert.Null(config.PredictedRecoverySeconds);
        Assert.Null(config.ProvenTime);
        Assert.True(config.LossIsBound);

        await RunAsync(0, "restore", "filestore", "config", "--destination", Path.Combine(_directory.Path, "back"));
        config = (await MeasureAsync())["config"];
        Assert.Equal(("Met", "Met", "Met"), (config.Verdict, config.RpoVerdict, config.RtoVerdict));
        Assert.InRange(config.PredictedRecoverySeconds!.Value, 0.0001, 600);
        Assert.Equal(1, config.MeasuredRecoveryCount);
        Assert.Equal(config.BackupTime!.Value.ToUnixTimeSeconds(), config.ProvenTime!.Value.ToUnixTimeSeconds());
        Assert.Empty(config.Problems);

        _clock.Shift = TimeSpan.FromMinutes(50);
        config = (await MeasureAsync())["config"];
        Assert.Equal(("AtRisk", "AtRisk"), (config.Verdict, config.RpoVerdict));
        Assert.StartsWith("Up to 50 min", Assert.Single(config.Problems), StringComparison.Ordinal);
        Assert.Null(ObjectiveMeter.FindFailure([config]));
        Assert.Contains("FileStore config is at risk", Assert.Single(ObjectiveMeter.FindWarnings([config])), StringComparison.Ordinal);

        _clock.Shift = TimeSpan.FromMinutes(61);
        config = (await MeasureAsync())["config"];
        Assert.Equal("Missed", config.Verdict);
        Assert.Equal(SmcErrorCode.ObjectiveMissed, ObjectiveMeter.FindFailure([config])!.Code);
    }

    [LinuxFact]
    public async Task Objective_CommandLine_TellsByItsExitCodeAndFile()
    {
        string store = Directory.CreateDirectory(Path.Combine(_directory.Path, "store")).FullName;
        await File.WriteAllTextAsync(Path.Combine(store, "data"), "x");
        WriteSite($"""
            objectives: {"{"} fileStore: {"{"} rpo: 1h {"}"} {"}"}
            regions: {"{"} here: {"{"} role: primary {"}"} {"}"}
            fileStores: [ {"{"} name: config, path: {store} {"}"} ]
            """);
        string file = Path.Combine(_directory.Path, "smcdr.prom");

        CliRun none = await RunAsync(SmcErrors.Get(SmcErrorCode.RepositoryNotFound).ExitCode, "objective", "--out-file", file);
        Assert.Empty(none.Out);
        Assert.Equal(0, ExpositionText.Parse(await File.ReadAllTextAsync(file))["smcdr_measurement_success{site=\"objectives-test\"}"]);

        await RunAsync(0, "backup", "filestore", "config");
        CliRun met = await RunAsync(0, "objective", "--out-file", file, "--json");
        JsonElement result = Assert.Single(met.Json.EnumerateArray());
        Assert.Equal("Met", result.GetProperty("verdict").GetString());
        Assert.Equal(3600, result.GetProperty("rpoSeconds").GetDouble());
        Assert.Equal(JsonValueKind.Null, result.GetProperty("predictedRecoverySeconds").ValueKind);
        IReadOnlyDictionary<string, double> samples = ExpositionText.Parse(await File.ReadAllTextAsync(file));
        Assert.Equal(
            result.GetProperty("lossSeconds").GetDouble(), samples["smcdr_loss_seconds{component=\"FileStore\",site=\"objectives-test\",subject=\"config\"}"]);

        WriteSite($"""
            objectives: {"{"} fileStore: {"{"} rpo: 1h, rto: 1h {"}"} {"}"}
            regions: {"{"} here: {"{"} role: primary {"}"} {"}"}
            fileStores: [ {"{"} name: config, path: {store} {"}"} ]
            """);
        CliRun unknown = await RunAsync(SmcErrors.Get(SmcErrorCode.ObjectiveMissed).ExitCode, "objective");
        Assert.Contains("none was measured", unknown.Error, StringComparison.Ordinal);
        Assert.Contains("Unknown", unknown.Out, StringComparison.Ordinal);

        WriteSite("regions: { here: { role: primary } }");
        Assert.Contains("has no objectives", (await RunAsync(SmcErrors.Get(SmcErrorCode.SiteInvalid).ExitCode, "objective")).Error, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task MeasureAsync_Database_KnowsItsLossItsStreamAndItsRecovery()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        WriteSite($"""
            objectives: {"{"} database: {"{"} rpo: 5m, rto: 15m {"}"} {"}"}
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  slot: smcdr_objectives

            """);
        await server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1500) AS id");
        await RunAsync(0, "backup", "database");
        await RunAsync(0, "wal", "stream", "--once");

        ObjectiveResult quiet = (await MeasureAsync())["Database"];
        Assert.Equal(false, quiet.IsStreaming);
        Assert.Equal("AtRisk", quiet.RpoVerdict);
        Assert.Equal("Unknown", quiet.RtoVerdict);
        Assert.False(quiet.LossIsBound);

        using (CancellationTokenSource stop = new())
        {
            Task<CliRun> streaming = CliRun.InAsync(_directory.Path, ["wal", "stream"], stop.Token);
            ObjectiveResult streamed;
            while ((streamed = (await MeasureAsync())["Database"]).IsStreaming != true)
            {
                Assert.False(streaming.IsCompleted);
                await Task.Delay(50);
            }

            Assert.Equal("Met", streamed.RpoVerdict);
            await stop.CancelAsync();
            await streaming;
        }

        await server.ExecuteAsync("INSERT INTO t VALUES (0)");
        ObjectiveResult behind = (await MeasureAsync())["Database"];
        Assert.True(behind.LossBytes > 0);
        Assert.True(behind.LossSeconds > 0);
        Assert.Equal(false, behind.IsStreaming);

        await RunAsync(0, "restore", "database", "--data-directory", Path.Combine(_place, "data"), "--latest", "--no-start");
        ObjectiveResult measured = (await MeasureAsync())["Database"];
        Assert.Equal("Met", measured.RtoVerdict);
        Assert.InRange(measured.PredictedRecoverySeconds!.Value, 0.01, 900);
        Assert.NotNull(measured.LastRecoveryTime);
        Assert.NotNull(measured.ProvenTime);

        await server.StopAsync();
        _clock.Shift = TimeSpan.FromMinutes(10);
        ObjectiveResult gone = (await MeasureAsync())["Database"];
        Assert.True(gone.LossIsBound);
        Assert.True(gone.LossSeconds > 590);
        Assert.Equal("Missed", gone.RpoVerdict);
        Assert.Contains(gone.Problems, static problem => problem.StartsWith("The server cannot be asked", StringComparison.Ordinal));
    }

    [LinuxFact]
    public async Task Metrics_Process_IsScrapedAndEndsCleanlyAtSigterm()
    {
        string store = Directory.CreateDirectory(Path.Combine(_directory.Path, "store")).FullName;
        WriteSite($"""
            objectives: {"{"} fileStore: {"{"} rpo: 1h {"}"} {"}"}
            regions: {"{"} here: {"{"} role: primary {"}"} {"}"}
            fileStores: [ {"{"} name: config, path: {store} {"}"} ]
            """);
        await RunAsync(0, "backup", "filestore", "config");
        ProcessStartInfo info = new(Environment.ProcessPath is { } host && Path.GetFileName(host) == "dotnet" ? host : "dotnet") { RedirectStandardError = true, WorkingDirectory = _directory.Path };
        foreach (string argument in new[] { "exec", typeof(CliApplication).Assembly.Location, "metrics", "--listen", "127.0.0.1:0", "--interval", "100ms" })
        {
            info.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(info)!;
        try
        {
            string line = (await process.StandardError.ReadLineAsync())!;
            Uri address = new(line[line.IndexOf("http", StringComparison.Ordinal)..]);
            using HttpClient http = new();
            string text = "";
            while (text.Length == 0)
            {
                using HttpResponseMessage response = await http.GetAsync(address);
                text = response.IsSuccessStatusCode ? await response.Content.ReadAsStringAsync() : "";
            }

            Assert.Equal(1, ExpositionText.Parse(text)["smcdr_objective_verdict{component=\"FileStore\",objective=\"rpo\",site=\"objectives-test\",subject=\"config\",verdict=\"Met\"}"]);
            using Process kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
            Task<string> rest = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
            Assert.Equal(0, process.ExitCode);
            Assert.Contains("Nothing is left running", await rest, StringComparison.Ordinal);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    private async Task<Dictionary<string, ObjectiveResult>> MeasureAsync()
    {
        Site site = SiteFile.Load(Path.Combine(_directory.Path, "smcdr.yaml"));
        ObjectiveMeter meter = new(site, new SecretResolver(), isOffline: false, NullObserver.Instance, _clock);
        return (await meter.MeasureAsync(CancellationToken.None)).ToDictionary(static result => result.Subject ?? result.Component);
    }

    private async Task<CliRun> RunAsync(int exitCode, params string[] arguments)
    {
        CliRun run = await CliRun.InAsync(_directory.Path, arguments);
        Assert.True(run.ExitCode == exitCode, $"{string.Join(' ', arguments)} ended with {run.ExitCode}: {run.Error}");
        return run;
    }

    private void WriteSite(string rest) => File.WriteAllText(Path.Combine(_directory.Path, "smcdr.yaml"), $"""
        name: objectives-test
        repository: {"{"} location: "file://{_directory.Path}/repository" {"}"}
        {rest}

        """);
}
