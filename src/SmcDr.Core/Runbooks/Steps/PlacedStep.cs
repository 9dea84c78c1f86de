using SmcDr.Core.Plans;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>A step of another plan that has its place in a runbook: the same in all but in what comes before it.</summary>
internal sealed class PlacedStep(PlanStep step, IReadOnlyList<string> after) : PlanStep
{
    public override string Key => step.Key;

    public override string Title => step.Title;

    public override string Target => step.Target;

    public override IReadOnlyList<string> After => after;

    public override long? SizeBytes => step.SizeBytes;

    public override bool VerifiesAgain => step.VerifiesAgain;

    public override bool CanUndo => step.CanUndo;

    public override string Describe() => step.Describe();

    public override Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) => step.CheckAsync(context, cancellationToken);

    public override Task<string> ActAsync(StepContext context, CancellationToken cancellationToken) => step.ActAsync(context, cancellationToken);

    public override Task VerifyAsync(StepContext context, CancellationToken cancellationToken) => step.VerifyAsync(context, cancellationToken);

    public override Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken) => step.UndoAsync(context, cancellationToken);
}
