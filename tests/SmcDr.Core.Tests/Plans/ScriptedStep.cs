using SmcDr.Core.Plans;

namespace SmcDr.Core.Tests.Plans;

/// <summary>A step that does what a test tells it to.</summary>
internal sealed class ScriptedStep(string key, params string[] after) : PlanStep
{
    private int _acts;
    private int _undos;

    public override string Key => key;

    public override string Title => $"Do {key}";

    public override string Target => $"target of {key}";

    public override IReadOnlyList<string> After => after;

    public override long? SizeBytes => Size;

    public override bool VerifiesAgain => Again;

    public override bool CanUndo => Undo is not null;

    public long? Size { get; init; }

    public bool Again { get; init; }

    public Func<StepContext, CancellationToken, Task<StepCheck>>? Check { get; init; }

    public Func<StepContext, CancellationToken, Task>? Act { get; init; }

    public Func<Task>? Verify { get; init; }

    public Func<StepContext, Task>? Undo { get; init; }

    /// <summary>How often it acted.</summary>
    public int Acts => Volatile.Read(ref _acts);

    public int Undos => Volatile.Read(ref _undos);

    public override string Describe() => $"Does {key}.";

    public override Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) =>
        Check?.Invoke(context, cancellationToken) ?? base.CheckAsync(context, cancellationToken);

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _acts);
        await (Act?.Invoke(context, cancellationToken) ?? Task.CompletedTask);
        return $"Did {key}.";
    }

    public override Task VerifyAsync(StepContext context, CancellationToken cancellationToken) => Verify?.Invoke() ?? Task.CompletedTask;

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _undos);
        await Undo!(context);
        return $"Took {key} back.";
    }
}
