using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using static SmcDr.Core.Tests.Plans.PlanWorld;

namespace SmcDr.Core.Tests.Plans;

public sealed class PlanRunTests : IAsyncLifetime
{
    private readonly MemoryObjectStore _store = new();
    private Repository _repository = null!;

    public async Task InitializeAsync() => _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task RunAsync_Graph_DoesEachStepBehindThoseItComesAfter_AndTogetherWhatTheGraphAllows()
    {
        TaskCompletionSource left = new();
        TaskCompletionSource right = new();
        List<string> order = [];
        Task NoteAsync(string key)
        {
            lock (order)
            {
                order.Add(key);
            }

            return Task.CompletedTask;
        }

        List<PlanStepResult> results = await RunAsync(_repository,
        [
            new ScriptedStep("last", "left", "right") { Act = (_, _) => NoteAsync("last") },
            new ScriptedStep("first") { Act = (_, _) => NoteAsync("first") },
            new ScriptedStep("left", "first") { Act = async (_, token) => { left.SetResult(); await right.Task.WaitAsync(TimeSpan.FromSeconds(60), token); await NoteAsync("left"); } },
            new ScriptedStep("right", "first") { Act = async (_, token) => { right.SetResult(); await left.Task.WaitAsync(TimeSpan.FromSeconds(60), token); await NoteAsync("right"); } },
        ]);

        Assert.Equal("first", order[0]);
        Assert.Equal("last", order[3]);
        Assert.Equal(4, results.Count);
        Assert.All(results, static result => Assert.Equal(PlanStepState.Succeeded, result.State));
        PlanStepResult first = results[0];
        Assert.Equal(("first", "Do first", "target of first", "Did first."), (first.Step, first.Title, first.Target, first.Detail));
        Assert.NotNull(first.StartTime);
        Assert.NotNull(first.ElapsedSeconds);
        Assert.Matches("^20[0-9]{6}T[0-9]{6}Z-restore-system$", first.PlanId);
    }

    [Fact]
    public async Task RunAsync_StoreThatIsSlowToNoteWhatIsDone_IsWaitedFor()
    {
        bool isDone = false;
        _store.BeforePut = (_, token) => Volatile.Read(ref isDone) ? Task.Delay(TimeSpan.FromSeconds(1), token) : Task.CompletedTask;
        ScriptedStep step = new("only")
        {
            Act = (_, _) =>
            {
                Volatile.Write(ref isDone, true);
                return Task.CompletedTask;
            },
        };

        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(
            NewRun(_repository, [step], new PlanOptions { Lease = Lease, NoteTime = TimeSpan.FromMilliseconds(50) }).RunAsync(CancellationToken.None));

        Assert.Null(failure);
        Assert.Equal(PlanStepState.Succeeded, StateOf(results, "only"));
    }

    [Fact]
    public async Task RunAsync_StoppedWhileTheStoreDoesNotAnswer_EndsAllTheSame()
    {
        using CancellationTokenSource stop = new();
        bool isDone = false;
        _store.BeforePut = (_, token) => Volatile.Read(ref isDone) ? Task.Delay(Timeout.Infinite, token) : Task.CompletedTask;
        ScriptedStep step = new("only")
        {
            Act = async (_, _) =>
            {
                Volatile.Write(ref isDone, true);
                await stop.CancelAsync();
            },
        };

        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(
            NewRun(_repository, [step], new PlanOptions { Lease = Lease, NoteTime = TimeSpan.FromMilliseconds(50) }).RunAsync(stop.Token))
            .WaitAsync(TimeSpan.FromSeconds(60));

        Assert.IsAssignableFrom<OperationCanceledException>(failure);
        Assert.Equal(PlanStepState.Interrupted, StateOf(results, "only"));
    }

    [Fact]
    public async Task RunAsync_Parallelism_IsNeverExceeded()
    {
        int running = 0;
        int most = 0;
        async Task ActAsync()
        {
            int now = Interlocked.Increment(ref running);
            lock (_store)
            {
                most = Math.Max(most, now);
            }

            await Task.Yield();
            Interlocked.Decrement(ref running);
        }

        PlanStep[] steps = [.. Enumerable.Range(0, 20).Select(i => new ScriptedStep($"step{i}") { Act = (_, _) => ActAsync() })];
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(
            NewRun(_repository, steps, new PlanOptions { Lease = Lease, Parallelism = 2 }).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Equal(20, results.Count);
        Assert.InRange(most, 1, 2);
    }

    [Fact]
    public async Task RunAsync_StepFindsItDoneOrNotNeeded_DoesNotActAndWhatComesAfterGoesOn()
    {
        ScriptedStep done = new("done") { Check = static (_, _) => Task.FromResult(StepCheck.AlreadyDone("It is so.")) };
        ScriptedStep skipped = new("skipped") { Check = static (_, _) => Task.FromResult(StepCheck.Skip("No Redis here.")) };
        ScriptedStep last = new("last", "done", "skipped");
        List<PlanStepResult> results = await RunAsync(_repository, [done, skipped, last]);

        Assert.Equal(PlanStepState.AlreadyDone, StateOf(results, "done"));
        Assert.Equal(PlanStepState.Skipped, StateOf(results, "skipped"));
        Assert.Equal("No Redis here.", results.Single(static result => result.Step == "skipped").Detail);
        Assert.Equal((0, 0, 1), (done.Acts, skipped.Acts, last.Acts));
    }

    [Fact]
    public async Task RunAsync_StepFails_WhatBuildsOnItIsNotReached_AndTheRestGoesOn()
    {
        TaskCompletionSource failed = new();
        ScriptedStep bad = new("bad") { Act = async (_, _) => { failed.SetResult(); await FailAsync(); } };
        ScriptedStep behind = new("behind", "bad");
        ScriptedStep farBehind = new("far-behind", "behind");
        ScriptedStep beside = new("beside") { Act = (_, _) => failed.Task };
        ScriptedStep besideToo = new("beside-too", "beside");
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(
            NewRun(_repository, [bad, behind, farBehind, beside, besideToo]).RunAsync(CancellationToken.None));

        SmcException error = Assert.IsType<SmcException>(failure);
        Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, error.Code);
        Assert.Contains("run Restore-SmcSystem again", error.Recommendation, StringComparison.Ordinal);
        PlanStepResult result = results.Single(static result => result.Step == "bad");
        Assert.Equal((PlanStepState.Failed, "SmcDiskSpaceInsufficient", "The disk is full."), (result.State, result.ErrorId, result.Detail));
        Assert.Equal(PlanStepState.NotReached, StateOf(results, "behind"));
        Assert.Equal(PlanStepState.NotReached, StateOf(results, "far-behind"));
        Assert.Equal(PlanStepState.Succeeded, StateOf(results, "beside-too"));
        Assert.Equal((0, 0), (behind.Acts, farBehind.Acts));
    }

    [Fact]
    public async Task RunAsync_VerificationFails_TheStepHasFailed()
    {
        ScriptedStep step = new("step") { Verify = static () => FailAsync("Nothing is there.") };
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(_repository, [step]).RunAsync(CancellationToken.None));
        Assert.Equal("Nothing is there.", Assert.IsType<SmcException>(failure).Message);
        Assert.Equal(PlanStepState.Failed, StateOf(results, "step"));
        Assert.Equal(1, step.Acts);
    }

    [Fact]
    public async Task RunAsync_StepFailsUnforeseen_IsADefectThatIsTold_AndThePlanStaysOpen()
    {
        ScriptedStep step = new("step") { Act = static (_, _) => throw new InvalidOperationException("Oops.") };
        (_, Exception? failure) = await CollectAsync(NewRun(_repository, [step]).RunAsync(CancellationToken.None));
        SmcException error = Assert.IsType<SmcException>(failure);
        Assert.Equal(SmcErrorCode.InternalError, error.Code);
        Assert.Contains("Oops.", error.Message, StringComparison.Ordinal);
        Assert.NotNull(await OpenIdAsync(_repository));
    }

    [Fact]
    public async Task RunAsync_Resumed_DoesOnlyWhatIsNotDone_FromWhatTheJournalSays()
    {
        bool broken = true;
        ScriptedStep[] steps =
        [
            new("first") { Act = static (context, token) => context.SaveAsync(new StepNote("moved to /old"), StepNoteJson.Default.StepNote, token) },
            new("second", "first") { Act = (_, _) => broken ? FailAsync() : Task.CompletedTask },
            new("third", "second"),
        ];
        (_, Exception? failure) = await CollectAsync(NewRun(_repository, steps).RunAsync(CancellationToken.None));
        Assert.NotNull(failure);

        // Somebody else, elsewhere: all that is known is the repository.
        Repository elsewhere = await Repository.OpenAsync(_store, CancellationToken.None);
        OpenPlan open = (await PlanJournals.FindOpenAsync(elsewhere, Site, Operation, CancellationToken.None))!;
        Assert.Equal("backup 7", System.Text.Json.JsonSerializer.Deserialize(open.Intent!.Value, StepNoteJson.Default.StepNote)!.Text);
        Assert.Contains("1 of 3 steps are done, not Do second (Failed)", open.State, StringComparison.Ordinal);

        broken = false;
        StepNote? output = null;
        bool? isRetry = null;
        ScriptedStep[] again =
        [
            new("first"),
            new("second", "first")
            {
                Act = (context, _) =>
                {
                    (output, isRetry) = (context.GetOutput("first", StepNoteJson.Default.StepNote), context.IsRetry);
                    return Task.CompletedTask;
                },
            },
            new("third", "second"),
        ];
        List<PlanStepResult> results = await RunAsync(elsewhere, again, open.Id);
        Assert.Equal((0, 1, 1), (again[0].Acts, again[1].Acts, again[2].Acts));
        Assert.Equal(PlanStepState.AlreadyDone, StateOf(results, "first"));
        Assert.Contains($"Done by {Environment.UserName} on {Environment.MachineName}", results[0].Detail, StringComparison.Ordinal);
        Assert.Equal(("moved to /old", true), (output!.Text, isRetry));
        Assert.Null(await PlanJournals.FindOpenAsync(elsewhere, Site, Operation, CancellationToken.None));
        PlanInfo info = await PlanJournals.GetAsync(elsewhere, Site, open.Id, CancellationToken.None);
        Assert.Equal(("Succeeded", 2, 3), (info.State, info.Runs, info.DoneCount));
    }

    [Fact]
    public async Task RunAsync_StepWasBegunAndSavedSomething_GetsItBackWhenItIsAskedAgain()
    {
        ScriptedStep step = new("step")
        {
            Act = static async (context, token) =>
            {
                Assert.Null(context.GetSaved(StepNoteJson.Default.StepNote));
                await context.SaveAsync(new StepNote("begun"), StepNoteJson.Default.StepNote, token);
                await context.SaveAsync(new StepNote("half done"), StepNoteJson.Default.StepNote, token);
                await FailAsync();
            },
        };
        await CollectAsync(NewRun(_repository, [step]).RunAsync(CancellationToken.None));
        StepNote? saved = null;
        ScriptedStep again = new("step")
        {
            Act = (context, _) =>
            {
                saved = context.GetSaved(StepNoteJson.Default.StepNote);
                return Task.CompletedTask;
            },
        };
        await RunAsync(_repository, [again], await OpenIdAsync(_repository));
        Assert.Equal("half done", saved!.Text);
    }

    [Fact]
    public async Task RunAsync_ResumedStepsThatVerifyAgain_AreAskedAndDoneAgainOnlyWhereTheyDoNotHold()
    {
        bool holds = true;
        bool broken = true;
        int verified = 0;
        ScriptedStep[] Steps() =>
        [
            new("holds") { Again = true, Verify = () => { verified++; return Task.CompletedTask; } },
            new("broke") { Again = true, Verify = () => holds ? Task.CompletedTask : FailAsync("The pods run again.") },
            new("costly") { Verify = () => verified < 2 ? Task.CompletedTask : throw new InvalidOperationException("It was to be asked once.") },
            new("last", "holds", "broke", "costly") { Act = (_, _) => broken ? FailAsync() : Task.CompletedTask },
        ];
        await CollectAsync(NewRun(_repository, Steps(), new PlanOptions { Lease = Lease, Parallelism = 1 }).RunAsync(CancellationToken.None));
        (holds, broken) = (false, false);
        ScriptedStep[] again = Steps();
        RecordingObserver observer = new();
        // The effect comes back by acting.
        again[1] = new ScriptedStep("broke")
        {
            Again = true,
            Act = (_, _) => { holds = true; return Task.CompletedTask; },
            Verify = () => holds ? Task.CompletedTask : FailAsync("The pods run again."),
        };
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(
            _repository,
            again,
            new PlanOptions { Lease = Lease, Parallelism = 1, Resume = await OpenIdAsync(_repository) },
            observer).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Equal((0, 1, 0, 1), (again[0].Acts, again[1].Acts, again[2].Acts, again[3].Acts));
        Assert.Equal(2, verified);
        Assert.Equal(PlanStepState.Succeeded, StateOf(results, "broke"));
        Assert.Contains(observer.Warnings, static warning => warning.Contains("The pods run again.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_Cancelled_StopsWhatRunsWaitsForItAndLeavesAPlanToResume()
    {
        using CancellationTokenSource stop = new();
        bool unwound = false;
        ScriptedStep[] steps =
        [
            new("first"),
            new("second", "first")
            {
                Act = async (_, token) =>
                {
                    await stop.CancelAsync();
                    try
                    {
                        await Task.Delay(Timeout.Infinite, token);
                    }
                    finally
                    {
                        unwound = true;
                    }
                },
            },
            new("third", "second"),
        ];
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(_repository, steps).RunAsync(stop.Token));
        Assert.IsAssignableFrom<OperationCanceledException>(failure);
        Assert.True(unwound);
        Assert.Equal(PlanStepState.Interrupted, StateOf(results, "second"));
        Assert.Equal(PlanStepState.NotReached, StateOf(results, "third"));
        PlanInfo info = await PlanJournals.GetAsync(_repository, Site, await OpenIdAsync(_repository), CancellationToken.None);
        Assert.Equal(("Unfinished", PlanStepState.Interrupted), (info.State, StateOf(info.Steps, "second")));

        // The lease is given back: nobody has to wait or to break it.
        ScriptedStep[] again = [new("first"), new("second", "first"), new("third", "second")];
        await RunAsync(_repository, again, info.PlanId);
        Assert.Equal((0, 1, 1), (again[0].Acts, again[1].Acts, again[2].Acts));
    }

    [Fact]
    public async Task RunAsync_ReaderLeaves_StopsTheStepsAndWaitsForThem()
    {
        bool unwound = false;
        ScriptedStep[] steps =
        [
            new("quick"),
            new("slow")
            {
                Act = async (_, token) =>
                {
                    try
                    {
                        await Task.Delay(Timeout.Infinite, token);
                    }
                    finally
                    {
                        unwound = true;
                    }
                },
            },
        ];
        await foreach (PlanStepResult result in NewRun(_repository, steps).RunAsync(CancellationToken.None))
        {
            Assert.Equal("quick", result.Step);
            break;
        }

        Assert.True(unwound);
        await using SiteLease free = await SiteLease.TakeAsync(
            _repository, Site, Operation, null, Lease, NullObserver.Instance, CancellationToken.None);
    }

    [Fact]
    public async Task RunAsync_SomebodyElseIsAtIt_IsRefusedAndTouchesNothing()
    {
        TaskCompletionSource begun = new();
        TaskCompletionSource goOn = new();
        ScriptedStep slow = new("slow") { Act = async (_, _) => { begun.SetResult(); await goOn.Task; } };
        Task<List<PlanStepResult>> first = RunAsync(_repository, [slow]);
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(60));
        ScriptedStep other = new("slow");
        (_, Exception? failure) = await CollectAsync(NewRun(_repository, [other]).RunAsync(CancellationToken.None));
        Assert.Equal(SmcErrorCode.OperationInProgress, Assert.IsType<SmcException>(failure).Code);
        Assert.Equal(0, other.Acts);
        PlanInfo info = await PlanJournals.GetAsync(_repository, Site, await OpenIdAsync(_repository), CancellationToken.None);
        Assert.Equal(("Running", PlanStepState.Running), (info.State, info.Steps[0].State));
        goOn.SetResult();
        await first;
    }

    [Fact]
    public async Task RunAsync_LeaseIsBroken_TheFirstStopsAndTheSecondGoesOn()
    {
        TaskCompletionSource begun = new();
        ScriptedStep slow = new("slow") { Act = async (_, token) => { begun.SetResult(); await Task.Delay(Timeout.Infinite, token); } };
        SiteLeaseOptions quick = Lease with { Interval = TimeSpan.FromMilliseconds(10) };
        Task<(List<PlanStepResult> Results, Exception? Failure)> first = CollectAsync(
            NewRun(_repository, [slow, new ScriptedStep("next", "slow")], new PlanOptions { Lease = quick }).RunAsync(CancellationToken.None));
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(60));

        ScriptedStep[] again = [new("slow"), new("next", "slow")];
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(
            _repository,
            again,
            new PlanOptions { Lease = Lease with { Break = true }, Resume = await OpenIdAsync(_repository) }).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Equal([PlanStepState.Succeeded, PlanStepState.Succeeded], results.Select(static result => result.State));

        (_, Exception? lost) = await first.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(SmcErrorCode.LeaseLost, Assert.IsType<SmcException>(lost).Code);
        Assert.Equal("Succeeded", (await PlanJournals.ListAsync(_repository, Site, 5, CancellationToken.None))[0].State);
    }

    [Fact]
    public async Task AppendAsync_SomebodyElseHasTakenThePlanUp_IsRefusedBeforeTheNextStep()
    {
        await CollectAsync(NewRun(_repository, [new ScriptedStep("step") { Act = static (_, _) => FailAsync() }]).RunAsync(CancellationToken.None));
        string id = await OpenIdAsync(_repository);
        PlanJournal sleeper = await PlanJournal.LoadAsync(_repository, Site, id, CancellationToken.None);
        PlanJournal next = await PlanJournal.LoadAsync(_repository, Site, id, CancellationToken.None);
        await next.TakeUpAsync(CancellationToken.None);
        PlanStepResult running = new() { Step = "step", Title = "", Target = "", State = PlanStepState.Running, Detail = "" };
        SmcException error = await SmcErrorCode.LeaseLost.ThrowsAsync(() => sleeper.AppendAsync(running, null, null, CancellationToken.None));
        Assert.Contains(Environment.MachineName, error.Message, StringComparison.Ordinal);
        await next.AppendAsync(running, null, null, CancellationToken.None);
    }

    [Fact]
    public async Task AppendAsync_AnswersAreLost_NumbersGoOnWithoutAGap()
    {
        int lost = 0;
        _store.AfterPut = key => key.StartsWith("journal/", StringComparison.Ordinal) && ++lost % 2 == 1
            ? throw new SmcException(SmcErrorCode.ObjectExists, "The answer to the first attempt was lost.")
            : Task.CompletedTask;
        List<PlanStepResult> results = await RunAsync(_repository, [new ScriptedStep("first"), new ScriptedStep("second", "first")]);
        Assert.All(results, static result => Assert.Equal(PlanStepState.Succeeded, result.State));
        PlanJournal journal = await PlanJournal.LoadAsync(_repository, Site, results[0].PlanId!, CancellationToken.None);
        Assert.Equal(4, journal.Last.Number);
    }

    [Fact]
    public async Task RunAsync_AnotherPlanIsUnfinished_IsRefusedUntilThatIsGivenUpKnowingly()
    {
        await CollectAsync(NewRun(_repository, [new ScriptedStep("old") { Act = static (_, _) => FailAsync() }]).RunAsync(CancellationToken.None));
        string id = await OpenIdAsync(_repository);
        Plan other = new(Site, "Start-SmcRegionFailover", "Lead the site to west", null, [new ScriptedStep("new")]);
        (_, Exception? failure) = await CollectAsync(
            new PlanRun(_repository, other, new PlanOptions { Lease = Lease }, NullObserver.Instance).RunAsync(CancellationToken.None));
        SmcException error = Assert.IsType<SmcException>(failure);
        Assert.Equal(SmcErrorCode.PlanUnfinished, error.Code);
        Assert.Contains(id, error.Message, StringComparison.Ordinal);
        Assert.Contains("Run Restore-SmcSystem again", error.Recommendation, StringComparison.Ordinal);

        RecordingObserver observer = new();
        (_, failure) = await CollectAsync(
            new PlanRun(_repository, other, new PlanOptions { Lease = Lease, AbandonOthers = true }, observer).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Contains(observer.Warnings, warning => warning.Contains(id, StringComparison.Ordinal));
        Assert.Equal("Abandoned", (await PlanJournals.GetAsync(_repository, Site, id, CancellationToken.None)).State);
        (_, failure) = await CollectAsync(
            NewRun(_repository, [new ScriptedStep("old")], new PlanOptions { Lease = Lease, Resume = id }).RunAsync(CancellationToken.None));
        Assert.Equal(SmcErrorCode.PlanUnsuitable, Assert.IsType<SmcException>(failure).Code);
    }

    [Fact]
    public async Task RunAsync_ResumedWithOtherSteps_IsRefused()
    {
        await CollectAsync(NewRun(_repository, [new ScriptedStep("step") { Act = static (_, _) => FailAsync() }]).RunAsync(CancellationToken.None));
        PlanOptions options = new() { Lease = Lease, Resume = await OpenIdAsync(_repository) };
        ScriptedStep other = new("other");
        (_, Exception? failure) = await CollectAsync(NewRun(_repository, [other], options).RunAsync(CancellationToken.None));
        Assert.Equal(SmcErrorCode.PlanUnsuitable, Assert.IsType<SmcException>(failure).Code);
        Assert.Equal(0, other.Acts);
    }

    [Fact]
    public async Task RunAsync_Unjournaled_WritesNothingIntoTheRepository()
    {
        string[] before = [.. _store.Keys];
        StepNote? output = null;
        RecordingObserver observer = new();
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(
            _repository,
            [
                new ScriptedStep("first") { Act = static (context, token) => context.SaveAsync(new StepNote("here"), StepNoteJson.Default.StepNote, token) },
                new ScriptedStep("second", "first")
                {
                    Act = (context, _) => { output = context.GetOutput("first", StepNoteJson.Default.StepNote); return Task.CompletedTask; },
                },
            ],
            new PlanOptions { Unjournaled = true },
            observer).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Equal(before, _store.Keys);
        Assert.Equal("here", output!.Text);
        Assert.All(results, static result => Assert.Null(result.PlanId));
        Assert.Contains(observer.Warnings, static warning => warning.Contains("no journal", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_Progress_CountsStepsAndEndsOnce()
    {
        RecordingObserver observer = new();
        ScriptedStep step = new("first")
        {
            Act = static (context, _) =>
            {
                context.Observer.Progress(new OperationProgress("Restore", "files", 1, 2));
                return Task.CompletedTask;
            },
        };
        await CollectAsync(NewRun(_repository, [step, new ScriptedStep("second", "first")], observer: observer).RunAsync(CancellationToken.None));
        OperationProgress[] own = [.. observer.Progresses.Where(static progress => progress.Activity == "Restore the system 'orders'")];
        Assert.Single(own, static progress => progress.IsCompleted);
        Assert.Contains(own, static progress => progress is { Done: 1, Total: 2, Status: "Do second" });
        Assert.Contains(observer.Progresses, static progress => progress is { Activity: "Restore", Parent: "Restore the system 'orders'" });
    }

    [Fact]
    public void Plan_StepsThatAreNoGraph_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => NewPlan(new ScriptedStep("a", "b"), new ScriptedStep("b", "a")));
        Assert.Throws<ArgumentException>(() => NewPlan(new ScriptedStep("a", "missing")));
        Assert.Throws<ArgumentException>(() => NewPlan(new ScriptedStep("a"), new ScriptedStep("a")));
        Assert.Throws<ArgumentException>(() => NewPlan(new ScriptedStep("Not A Key")));
    }
}
