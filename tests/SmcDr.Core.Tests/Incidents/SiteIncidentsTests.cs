using System.Diagnostics;
using SmcDr.Core.Incidents;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Incidents;

public sealed class SiteIncidentsTests : IDisposable
{
    private static readonly IncidentRequest s_request = new("Rows are gone", AlertSeverity.Error, IncidentScenario.DatabaseCorruption);

    private readonly TemporaryDirectory _directory = new();
    private readonly RecordingObserver _observer = new();
    private readonly Site _site;

    public SiteIncidentsTests()
    {
        string path = Path.Combine(_directory.Path, "smcdr.yaml");
        File.WriteAllText(path, """
            name: orders
            repository: { location: repository }
            regions: { here: { role: primary } }
            contacts: [ { role: DR Coordinator, address: dr@example.com }, { role: DBA, name: Kim, address: "+49 30 1" } ]

            """);
        _site = SiteFile.Load(path);
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Incident_FromItsBeginningToItsEnd_KeepsWhatWasDoneInOrder()
    {
        Repository repository = await OpenAsync();
        IncidentInfo begun = await SiteIncidents.StartAsync(_site, repository, s_request, default);
        IncidentRecorder recorder = Record("Restore-SmcDatabase -Password hunter2 -Delta");
        await recorder.EndAsync("Failed", new SmcException(SmcErrorCode.TargetInUse, "A server runs there. password=hunter2"), _observer);
        await recorder.EndAsync("Succeeded", null, _observer);
        IncidentRecorder running = Record("Test-SmcRecovery");
        await running.Begun;
        await SiteIncidents.AddNoteAsync(_site, repository, null, "Customers were told", IncidentPhase.Communication, default);

        IncidentInfo stopped = await SiteIncidents.StopAsync(_site, repository, null, "Recovered", "A disk", default);
        IncidentInfo late = await SiteIncidents.AddNoteAsync(_site, repository, stopped.IncidentId, "The disk was replaced", IncidentPhase.PostIncident, default);
        await running.EndAsync("Succeeded", null, _observer);
        IncidentInfo read = Assert.Single(await SiteIncidents.ListAsync(_site, repository, false, 10, _observer, default));

        Assert.Equal(("Open", "Rows are gone", IncidentScenario.DatabaseCorruption), (begun.State, begun.Title, begun.Scenario));
        Assert.Equal([new IncidentContact("DR Coordinator", null, "dr@example.com"), new IncidentContact("DBA", "Kim", "+49 30 1")], begun.Contacts);
        Assert.Equal(("Closed", "Recovered", "A disk"), (stopped.State, stopped.Summary, stopped.RootCause));
        Assert.Equal(["Opened", "Command", "Command", "Note", "Closed", "Note"], late.Timeline.Select(static entry => entry.Kind));
        IncidentEntry failed = read.Timeline[1];
        Assert.Equal(("Failed", "SmcTargetInUse"), (failed.Outcome, failed.ErrorId));
        Assert.NotNull(failed.Elapsed);
        Assert.DoesNotContain("hunter2", failed.Problem, StringComparison.Ordinal);
        Assert.Equal("Running", late.Timeline[2].Outcome);
        Assert.Equal("Succeeded", read.Timeline[2].Outcome);
        Assert.Equal(
            [IncidentPhase.Response, IncidentPhase.Communication, IncidentPhase.PostIncident],
            read.Phases.Where(static phase => phase.StartTime is not null).Select(static phase => phase.Phase));
        Assert.Equal(TimeSpan.FromMinutes(30), read.Phases[2].PlannedTime - read.StartTime);
        Assert.Empty(_observer.Warnings);
    }

    /// <summary>A command that was killed, or could not note its end, is not shown as one that runs for ever.</summary>
    [LinuxFact]
    public async Task Command_WhoseProcessIsGoneWithoutAnEnd_IsUnknown()
    {
        Repository repository = await OpenAsync();
        IncidentInfo incident = await SiteIncidents.StartAsync(_site, repository, s_request, default);
        using (Process process = Process.Start("sleep", "1000"))
        {
            IncidentProcess gone = IncidentProcess.Own with { Id = process.Id, Start = ProcessTable.ReadStart(process.Id) };
            await IncidentJournal.AppendAsync(
                repository, "orders", IncidentJournal.NewEntry(repository, incident.IncidentId) with { Command = "smcdr killed", Process = gone }, default);
            Assert.Equal("Running", (await SiteIncidents.GetAsync(_site, repository, null, _observer, default)).Timeline[^1].Outcome);
            process.Kill();
            await process.WaitForExitAsync();
        }

        IncidentRecorder recorder = Record("Test-SmcRecovery");
        await recorder.Begun;

        IReadOnlyList<IncidentEntry> timeline = (await SiteIncidents.GetAsync(_site, repository, null, _observer, default)).Timeline;
        Assert.Equal(["Unknown", "Running"], timeline.Where(static entry => entry.Kind == "Command").Select(static entry => entry.Outcome));
        await recorder.EndAsync("Succeeded", null, _observer);
    }

    [Fact]
    public async Task Start_WhileOneIsOpen_IsRefusedAndStopOfNoneToo()
    {
        Repository repository = await OpenAsync();
        SmcException none = await Assert.ThrowsAsync<SmcException>(() => SiteIncidents.StopAsync(_site, repository, null, "Over", null, default));
        SmcException unknown = await Assert.ThrowsAsync<SmcException>(
            () => SiteIncidents.AddNoteAsync(_site, repository, "20260101T000000Z-incident", "Note", null, default));
        IncidentInfo first = await SiteIncidents.StartAsync(_site, repository, s_request, default);
        SmcException second = await Assert.ThrowsAsync<SmcException>(() => SiteIncidents.StartAsync(_site, repository, s_request, default));
        await SiteIncidents.StopAsync(_site, repository, null, "Over", null, default);
        SmcException twice = await Assert.ThrowsAsync<SmcException>(() => SiteIncidents.StopAsync(_site, repository, first.IncidentId, "Over again", null, default));

        Assert.All(new[] { none, unknown, second, twice }, static e => Assert.Equal(SmcErrorCode.IncidentUnsuitable, e.Code));
        Assert.Contains(first.IncidentId, second.Message, StringComparison.Ordinal);
        Assert.Equal("Over", (await SiteIncidents.GetAsync(_site, repository, null, _observer, default)).Summary);
    }

    [Fact]
    public async Task Notes_OfManyAtOnce_AreAllKept()
    {
        Repository repository = await OpenAsync();
        IncidentInfo incident = await SiteIncidents.StartAsync(_site, repository, s_request, default);

        await Parallel.ForAsync(0, 24, async (i, token) => await SiteIncidents.AddNoteAsync(_site, repository, incident.IncidentId, $"Note {i}", null, token));
        IncidentInfo read = await SiteIncidents.GetAsync(_site, repository, null, _observer, default);

        Assert.Equal(
            Enumerable.Range(0, 24).Select(static i => $"Note {i}").Order(StringComparer.Ordinal),
            read.Timeline.Where(static entry => entry.Kind == "Note").Select(static entry => entry.Text).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Entry_Damaged_TakesNoOtherWithIt()
    {
        Repository repository = await OpenAsync();
        IncidentInfo incident = await SiteIncidents.StartAsync(_site, repository, s_request, default);
        await SiteIncidents.AddNoteAsync(_site, repository, null, "first", null, default);
        await SiteIncidents.AddNoteAsync(_site, repository, null, "second", null, default);
        string path = Path.Combine(_directory.Path, "repository", "incidents", "orders", incident.IncidentId, "0000000001");
        byte[] content = await File.ReadAllBytesAsync(path);
        content[^1] ^= 1;
        await File.WriteAllBytesAsync(path, content);

        IncidentInfo read = await SiteIncidents.GetAsync(_site, repository, incident.IncidentId, _observer, default);

        Assert.Equal(["Opened", "Note"], read.Timeline.Select(static entry => entry.Kind));
        Assert.Equal("second", read.Timeline[1].Text);
        Assert.Contains(_observer.Warnings, static warning => warning.Contains("is left out", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Recorder_WithoutAnOpenIncidentOrARepository_DoesNothingAndFailsNothing()
    {
        IncidentRecorder homeless = Record("Backup-SmcRedis");
        await homeless.EndAsync("Succeeded", null, _observer);
        Repository repository = await OpenAsync();
        IncidentRecorder idle = Record("Backup-SmcRedis");
        await idle.EndAsync("Succeeded", null, _observer);

        Assert.Empty(await SiteIncidents.ListAsync(_site, repository, false, 10, _observer, default));
        Assert.Empty(_observer.Warnings);
    }

    private IncidentRecorder Record(string command) => IncidentRecorder.Start(_site, new SecretResolver(), command, _observer);

    private Task<Repository> OpenAsync() => _site.OpenOrCreateRepositoryAsync(new SecretResolver(), default);
}
