using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.Plans.PlanWorld;

namespace SmcDr.Core.Tests.Plans;

public sealed class PlanHistoryTests : IAsyncLifetime
{
    private readonly MemoryObjectStore _store = new();
    private Repository _repository = null!;

    public async Task InitializeAsync() => _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task Predict_MedianOfTheNewestFive_InProportionToBytes()
    {
        // Six plans; the oldest, which took far longer, is not among the newest five.
        double[] seconds = [1000, 10, 50, 20, 40, 30];
        for (int i = 0; i < seconds.Length; i++)
        {
            await EndAsync(i, new EndedStep("restore", PlanStepState.Succeeded, seconds[i], 100), new EndedStep("switch", PlanStepState.Succeeded, seconds[i], null));
        }

        PlanHistory history = await PlanHistory.LoadAsync(_repository, Site, CancellationToken.None);
        Assert.Equal(30, history.Predict("restore", 100));
        Assert.Equal(60, history.Predict("restore", 200));
        Assert.Equal(30, history.Predict("restore", null));
        Assert.Equal(30, history.Predict("switch", 200));
        Assert.Null(history.Predict("other", null));
    }

    [Fact]
    public async Task Predict_StepsThatWereNotDoneInOneGo_TeachNothing()
    {
        await EndAsync(
            0,
            new EndedStep("interrupted", PlanStepState.Succeeded, null, null),
            new EndedStep("failed", PlanStepState.Failed, 5, null),
            new EndedStep("was-so", PlanStepState.AlreadyDone, 0.1, null));
        PlanHistory history = await PlanHistory.LoadAsync(_repository, Site, CancellationToken.None);
        Assert.Null(history.Predict("interrupted", null));
        Assert.Null(history.Predict("failed", null));
        Assert.Null(history.Predict("was-so", null));
    }

    [Fact]
    public async Task RunAsync_Plans_AreLearnedFromByTheNext()
    {
        bool broken = true;
        ScriptedStep[] Steps() =>
        [
            new("quick") { Size = 1000, Act = static (context, _) => { context.SizeBytes = 500; return Task.CompletedTask; } },
            new("broke", "quick") { Act = (_, _) => broken ? FailAsync() : Task.CompletedTask },
        ];
        await CollectAsync(NewRun(_repository, Steps()).RunAsync(CancellationToken.None));
        broken = false;
        List<PlanStepResult> results = await RunAsync(_repository, Steps(), await OpenIdAsync(_repository));
        Assert.Equal(500, (await PlanJournals.GetAsync(_repository, Site, results[0].PlanId!, CancellationToken.None)).Steps[0].SizeBytes);

        IReadOnlyList<PlanStepResult> preview = await NewRun(_repository, Steps()).PreviewAsync(CancellationToken.None);
        Assert.NotNull(preview[0].PredictedSeconds);
        // It took two attempts, so that its time says nothing.
        Assert.Null(preview[1].PredictedSeconds);
    }

    [Fact]
    public async Task PreviewAsync_TellsWhatWillBeDoneAndWhen_AndChangesNothing()
    {
        await EndAsync(
            0,
            new EndedStep("a", PlanStepState.Succeeded, 10, null),
            new EndedStep("b", PlanStepState.Succeeded, 30, null),
            new EndedStep("c", PlanStepState.Succeeded, 20, null));
        string[] before = [.. _store.Keys];
        ScriptedStep[] steps = [new("a"), new("b", "a"), new("c", "a"), new("d", "b", "c"), new("e", "c")];
        IReadOnlyList<PlanStepResult> preview = await NewRun(_repository, steps).PreviewAsync(CancellationToken.None);

        Assert.Equal(before, _store.Keys);
        Assert.All(preview, static result => Assert.Equal((PlanStepState.Pending, null), (result.State, result.PlanId)));
        Assert.Equal("Does b.", preview[1].Detail);
        Assert.Equal([0, 10, 10, 30, 40], preview.OrderBy(static r => r.PredictedStartSeconds).Select(static r => r.PredictedStartSeconds!.Value));
        Assert.Equal(40, preview.Single(static r => r.Step == "d").PredictedStartSeconds);
        Assert.Null(preview.Single(static r => r.Step == "d").PredictedSeconds);

        preview = await NewRun(_repository, steps, new PlanOptions { Parallelism = 1 }).PreviewAsync(CancellationToken.None);
        Assert.Equal([0, 10, 40, 60, 60], preview.OrderBy(static r => r.PredictedStartSeconds).Select(static r => r.PredictedStartSeconds!.Value));
        Assert.All(steps, static step => Assert.Equal(0, step.Acts));
    }

    [Fact]
    public async Task PreviewAsync_ResumedPlan_ShowsWhatIsDone()
    {
        ScriptedStep[] steps = [new("a"), new("b", "a") { Act = static (_, _) => FailAsync() }];
        await CollectAsync(NewRun(_repository, steps).RunAsync(CancellationToken.None));
        string id = await OpenIdAsync(_repository);
        IReadOnlyList<PlanStepResult> preview = await NewRun(_repository, steps, new PlanOptions { Resume = id }).PreviewAsync(CancellationToken.None);
        Assert.Equal([PlanStepState.AlreadyDone, PlanStepState.Pending], preview.Select(static result => result.State));
        Assert.All(preview, result => Assert.Equal(id, result.PlanId));
    }

    private Task EndAsync(int number, params EndedStep[] steps)
    {
        string id = $"2026110{number + 1}T000000Z-restore-system";
        DateTimeOffset time = DateTimeOffset.UtcNow;
        PlanEnd end = new()
        {
            RepositoryId = _repository.Id,
            PlanId = id,
            Operation = Operation,
            Outcome = PlanEnd.Succeeded,
            StartTime = time,
            EndTime = time,
            User = "alice",
            Host = "ops1",
            Runs = 1,
            Steps = steps,
        };
        return Repository.PutDocumentAsync(
            _store, $"{RepositoryKeys.Journals(Site)}{id}/ended", end, PlanJson.Default.PlanEnd, CancellationToken.None);
    }
}
