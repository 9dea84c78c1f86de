using System.CommandLine.Parsing;
using SmcDr.Core.Objectives;
using SmcDr.Core.Repositories;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Cli;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Runbooks;

public sealed class SiteRunbooksTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    public static TheoryData<IncidentScenario> Scenarios => [.. SiteRunbooks.Scenarios];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Runbook_EveryCommand_IsOneThatTheProgramTakes(IncidentScenario scenario)
    {
        RunbookInfo runbook = await SiteRunbooks.GetAsync(WriteSite(isEncrypted: true), null, scenario, default);

        Assert.Equal(Enumerable.Range(1, runbook.Steps.Count), runbook.Steps.Select(static step => step.Number));
        Assert.StartsWith("Start-SmcIncident", runbook.Steps[0].Command, StringComparison.Ordinal);
        Assert.StartsWith("Stop-SmcIncident", runbook.Steps[^1].Command, StringComparison.Ordinal);
        Assert.StartsWith($"Invoke-SmcRunbook {scenario}", runbook.Command, StringComparison.Ordinal);
        foreach (string command in runbook.Steps.Select(static step => step.Program).OfType<string>().Append(runbook.Program))
        {
            string[] words = [.. CommandLineParser.SplitCommandLine(command.Replace('\'', '"')).Skip(1)];
            CliRun run = await CliRun.InAsync(_directory.Path, [.. words, "--help"]);
            Assert.True(run.ExitCode == 0, $"{command}: {run.Error}");
        }
    }

    [Fact]
    public async Task Runbook_OfASiteThatHasLittle_HasNoStepForTheRest()
    {
        string path = Path.Combine(_directory.Path, "little.yaml");
        await File.WriteAllTextAsync(path, """
            name: little
            repository: { location: repository }
            regions: { here: { role: primary, database: { connection: "Host=db" } } }

            """);

        RunbookInfo runbook = await SiteRunbooks.GetAsync(SiteFile.Load(path), null, IncidentScenario.RegionFailure, default);

        // Where there is no other region, what is left is to build the system again.
        Assert.Equal(["Database"], runbook.Steps.Select(static step => step.Component).OfType<string>());
        Assert.DoesNotContain(runbook.Steps, static step => step.Command.Contains("Region", StringComparison.Ordinal) && step.Number > 1);
        Assert.Null(runbook.Objective);
        Assert.Equal((null, null, 0), (runbook.Estimated, runbook.Measured, runbook.MeasuredCount));
    }

    [Theory]
    [InlineData(IncidentScenario.DataCenterFailure)]
    [InlineData(IncidentScenario.Ransomware)]
    public async Task Runbook_OfASiteWithoutADatabase_HasNoStepThatNeedsOne(IncidentScenario scenario)
    {
        string path = Path.Combine(_directory.Path, "cache.yaml");
        await File.WriteAllTextAsync(path, """
            name: cache
            repository: { location: repository }
            regions: { here: { role: primary, redis: { endpoint: "cache:6379" } } }

            """);

        RunbookInfo runbook = await SiteRunbooks.GetAsync(SiteFile.Load(path), null, scenario, default);

        Assert.Equal(["Redis"], runbook.Steps.Select(static step => step.Component).OfType<string>());
        Assert.DoesNotContain(runbook.Steps, static step => step.Program is { } program &&
            (program.Contains("database", StringComparison.Ordinal) || program.Contains("wal", StringComparison.Ordinal) ||
                program.Contains("recovery", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Runbook_AfterRecoveries_HasWhatTheyTookBesideTheObjectives()
    {
        Site site = WriteSite();
        Repository repository = await site.OpenOrCreateRepositoryAsync(new SecretResolver(), default);
        RecordingObserver observer = new();
        RunbookInfo before = await SiteRunbooks.GetAsync(site, repository, IncidentScenario.DatabaseCorruption, default);
        foreach (int seconds in (int[])[90, 30, 60])
        {
            await repository.NoteAsync(site.Name, Recovery(seconds), observer, default);
        }

        RunbookInfo after = await SiteRunbooks.GetAsync(site, repository, IncidentScenario.DatabaseCorruption, default);
        RunbookStep step = Assert.Single(after.Steps, static step => step.Component is not null);

        Assert.Equal((TimeSpan.FromMinutes(15), null), (before.Objective, before.Estimated));
        Assert.Equal((TimeSpan.FromSeconds(60), 3), (step.Measured!.Value, step.MeasuredCount));
        Assert.Equal((TimeSpan.FromMinutes(15), TimeSpan.FromSeconds(60)), (after.Objective, after.Estimated));
        // Recoveries are not the runbook: that was never carried out.
        Assert.Null(after.Measured);
        Assert.Empty(observer.Warnings);
    }

    [Fact]
    public async Task Runbook_OfAnythingElse_IsRefused()
    {
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => SiteRunbooks.GetAsync(WriteSite(), null, IncidentScenario.Other, default));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
    }

    [Fact]
    public async Task Runbook_RepositoryThatDoesNotAnswer_IsShownAllTheSame()
    {
        WriteSite();
        CliRun run = await CliRun.InAsync(_directory.Path, ["runbook", "show", "databaseCorruption"]);

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("smcdr backup database --emergency", run.Out, StringComparison.Ordinal);
        Assert.Contains("not known", run.Error, StringComparison.Ordinal);
    }

    private static RecoveryResult Recovery(int seconds) => new()
    {
        BackupId = "20261129T000000Z-full",
        TargetKind = "Latest",
        DataDirectory = "/var/lib/postgresql",
        WalBytes = 0,
        RestoreSeconds = seconds,
        ReplaySeconds = 0,
        StartTime = DateTimeOffset.UtcNow.AddSeconds(-seconds),
        Duration = TimeSpan.FromSeconds(seconds),
        RestoredBytes = 1,
    };

    private Site WriteSite(bool isEncrypted = false)
    {
        string path = Path.Combine(_directory.Path, "smcdr.yaml");
        File.WriteAllText(path, $$"""
            name: orders
            repository: { location: repository{{(isEncrypted ? ", encryptionKey: \"env:ORDERS_RUNBOOK_KEY\"" : "")}} }
            objectives: { database: { rto: 15m }, redis: { rto: 5m } }
            regions:
              east: { role: primary, endpoint: east.example.com, kubernetes: { namespace: orders }, database: { connection: "Host=db" }, redis: { endpoint: "redis:6379" } }
              west: { role: standby, endpoint: west.example.com, kubernetes: { namespace: orders }, database: { connection: "Host=db" } }
            writers: [ deployment/api ]
            fileStores: [ { name: documents, path: /srv/documents } ]
            dns: { record: api.example.com, hostedZoneId: Z0123456789ABC }

            """);
        return SiteFile.Load(path);
    }
}
