using System.Collections.Concurrent;
using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.Plans.PlanWorld;

namespace SmcDr.Core.Tests.Plans;

/// <summary>Plans whose run dies, or whose store fails, at every single call.</summary>
public sealed class PlanInterruptionTests
{
    private readonly ConcurrentDictionary<string, int> _world = new(StringComparer.Ordinal);

    [Fact]
    public async Task RunAsync_RunDiesAtAnyCall_TheNextDoesTheRestAndNothingThatWasDone()
    {
        for (int call = 1; ; call++)
        {
            _world.Clear();
            MemoryObjectStore store = new();
            await Repository.OpenOrCreateAsync(store, CancellationToken.None);
            HookedObjectStore? dying = null;
            dying = new HookedObjectStore(store, (_, _) => dying!.Calls >= call + 2
                ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Killed.")
                : Task.CompletedTask);
            Repository first = await Repository.OpenAsync(dying, CancellationToken.None);
            (_, Exception? failure) = await CollectAsync(NewRun(first, Steps()).RunAsync(CancellationToken.None));
            bool isOver = failure is null;

            // Elsewhere; what the dead one has left of its lease is broken.
            Repository second = await Repository.OpenAsync(store, CancellationToken.None);
            OpenPlan? open = await PlanJournals.FindOpenAsync(second, Site, Operation, CancellationToken.None);
            string[] done = open is null ? [] :
            [
                .. (await PlanJournal.LoadAsync(second, Site, open.Id, CancellationToken.None)).Steps
                    .Where(static step => step.Value.IsDone).Select(static step => step.Key),
            ];
            ScriptedStep[] steps = Steps();
            (List<PlanStepResult> results, failure) = await CollectAsync(NewRun(
                second, steps, new PlanOptions { Lease = Lease with { Break = true }, Resume = open?.Id }).RunAsync(CancellationToken.None));
            Assert.True(failure is null, $"Call {call}: {failure}");
            Assert.Equal(4, results.Count);
            Assert.All(steps.Where(step => done.Contains(step.Key)), step => Assert.Equal(0, step.Acts));
            Assert.Equal(["a", "b", "c", "d"], _world.Keys.Order(StringComparer.Ordinal));

            // What was begun may have acted twice; what was done, once.
            Assert.All(done, key => Assert.Equal(1, _world[key]));
            if (isOver)
            {
                Assert.True(call > 20, $"It was over after {call} calls.");
                return;
            }
        }
    }

    [Fact]
    public async Task RunAsync_StoreFailsOnceAtAnyCallInAnyWay_EndsWellOrGoesOnWhenRunAgain()
    {
        foreach (StoreFault fault in Enum.GetValues<StoreFault>().Except([StoreFault.Slow, StoreFault.SilentTruncation]))
        {
            for (int call = 1; ; call += 2)
            {
                _world.Clear();
                FaultyObjectStore store = new(new MemoryObjectStore());
                Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
                store.Plan(call, fault);
                (_, Exception? failure) = await CollectAsync(NewRun(repository, Steps()).RunAsync(CancellationToken.None));
                bool isOver = store.Calls < call;
                store.Plan(int.MaxValue, fault);
                if (failure is not null)
                {
                    OpenPlan? open = await PlanJournals.FindOpenAsync(repository, Site, Operation, CancellationToken.None);
                    (_, failure) = await CollectAsync(NewRun(
                        repository, Steps(), new PlanOptions { Lease = Lease with { Break = true }, Resume = open?.Id }).RunAsync(CancellationToken.None));
                }

                Assert.True(failure is null, $"{fault} at call {call}: {failure}");
                Assert.Equal(["a", "b", "c", "d"], _world.Keys.Order(StringComparer.Ordinal));
                if (isOver)
                {
                    break;
                }
            }
        }
    }

    [Fact]
    public async Task UndoAsync_TakesBackTheLastFirst_AndWhatWasBegun()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), CancellationToken.None);
        List<string> undone = [];
        ScriptedStep Step(string key, string[] after, Func<StepContext, CancellationToken, Task>? act = null) => new(key, after)
        {
            Act = act,
            Undo = _ => { undone.Add(key); return Task.CompletedTask; },
        };
        ScriptedStep[] steps =
        [
            Step("first", []),
            new("was-so", "first") { Check = static (_, _) => Task.FromResult(StepCheck.AlreadyDone("It is so.")), Undo = static _ => throw new InvalidOperationException() },
            Step("second", ["was-so"]),
            Step("third", ["second"], static (_, _) => FailAsync()),
            Step("fourth", ["third"]),
        ];
        await CollectAsync(NewRun(repository, steps).RunAsync(CancellationToken.None));
        PlanOptions options = new() { Lease = Lease, Resume = await OpenIdAsync(repository) };
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(repository, steps, options).UndoAsync(CancellationToken.None));
        Assert.Null(failure);
        Assert.Equal(["third", "second", "first"], undone);
        Assert.All(results, static result => Assert.Equal(PlanStepState.Undone, result.State));
        Assert.Equal("Undone", (await PlanJournals.GetAsync(repository, Site, options.Resume, CancellationToken.None)).State);
    }

    [Fact]
    public async Task UndoAsync_AStepCannotBeTakenBack_LeavesWhatItBuildsOn()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), CancellationToken.None);
        static ScriptedStep Undoable(string key, params string[] after) => new(key, after) { Undo = static _ => Task.CompletedTask };
        ScriptedStep[] steps =
        [
            Undoable("stop-writers"),
            new("promote", "stop-writers"),
            Undoable("deploy", "promote"),
            Undoable("beside"),
            new("last", "deploy", "beside") { Act = static (_, _) => FailAsync(), Undo = static _ => Task.CompletedTask },
        ];
        await CollectAsync(NewRun(repository, steps).RunAsync(CancellationToken.None));
        PlanOptions options = new() { Lease = Lease, Resume = await OpenIdAsync(repository) };
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(NewRun(repository, steps, options).UndoAsync(CancellationToken.None));
        Assert.Equal(SmcErrorCode.PlanUnsuitable, Assert.IsType<SmcException>(failure).Code);
        Assert.Contains("Do promote", failure.Message, StringComparison.Ordinal);
        Assert.Equal(PlanStepState.Undone, StateOf(results, "deploy"));
        Assert.Equal(PlanStepState.Undone, StateOf(results, "beside"));
        Assert.Equal(PlanStepState.Succeeded, StateOf(results, "promote"));
        Assert.Equal(PlanStepState.Succeeded, StateOf(results, "stop-writers"));
        Assert.Equal(0, steps[0].Undos);

        // It can be gone on with all the same: what was taken back is done again.
        ScriptedStep[] again = [new("stop-writers"), new("promote", "stop-writers"), new("deploy", "promote"), new("beside"), new("last", "deploy", "beside")];
        await RunAsync(repository, again, options.Resume);
        Assert.Equal([0, 0, 1, 1, 1], again.Select(static step => step.Acts));
    }

    [Fact]
    public async Task UndoAsync_FailsHalfWay_TheStepIsNotTakenForDoneAfterwards()
    {
        Repository repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), CancellationToken.None);
        ScriptedStep[] steps =
        [
            new("first") { Undo = static _ => FailAsync("Half of it is back.") },
            new("second", "first") { Act = static (_, _) => FailAsync(), Undo = static _ => Task.CompletedTask },
        ];
        await CollectAsync(NewRun(repository, steps).RunAsync(CancellationToken.None));
        PlanOptions options = new() { Lease = Lease, Resume = await OpenIdAsync(repository) };
        (_, Exception? failure) = await CollectAsync(NewRun(repository, steps, options).UndoAsync(CancellationToken.None));
        Assert.Contains("Half of it is back.", Assert.IsType<SmcException>(failure).Message, StringComparison.Ordinal);
        ScriptedStep[] again = [new("first"), new("second", "first")];
        await RunAsync(repository, again, options.Resume);
        Assert.Equal([1, 1], again.Select(static step => step.Acts));
    }

    private ScriptedStep[] Steps()
    {
        Task DoAsync(string key)
        {
            _world.AddOrUpdate(key, 1, static (_, count) => count + 1);
            return Task.CompletedTask;
        }

        return
        [
            new("a")
            {
                Act = async (context, token) =>
                {
                    await context.SaveAsync(new StepNote("before"), StepNoteJson.Default.StepNote, token);
                    await DoAsync("a");
                },
            },
            new("b", "a") { Act = (_, _) => DoAsync("b") },
            new("c", "a") { Act = (_, _) => DoAsync("c") },
            new("d", "b", "c") { Act = (_, _) => DoAsync("d") },
        ];
    }
}
