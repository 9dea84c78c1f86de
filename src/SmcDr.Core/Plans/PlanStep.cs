namespace SmcDr.Core.Plans;

/// <summary>
/// One step of a plan. It checks, acts and verifies, and is asked again from the beginning after whatever interruption: acting twice must come
/// to the same as acting once.
/// </summary>
public abstract class PlanStep
{
    /// <summary>
    /// What is done, in small letters, digits and hyphens: one of its kind in the plan, and the same in every plan in which the same is done, since durations
    /// are learned by it.
    /// </summary>
    public abstract string Key { get; }

    /// <summary>What is done, for people.</summary>
    public abstract string Title { get; }

    /// <summary>To what it is done.</summary>
    public abstract string Target { get; }

    /// <summary>The keys of the steps that must have ended well before it begins.</summary>
    public virtual IReadOnlyList<string> After => [];

    /// <summary>How much it will handle, in bytes, where its duration depends on that; null where it does not, or nobody knows.</summary>
    public virtual long? SizeBytes => null;

    /// <summary>
    /// Whether <see cref="VerifyAsync"/> is cheap and asked again when a plan is resumed behind it. What does not hold any more is then done again.
    /// </summary>
    public virtual bool VerifiesAgain => false;

    /// <summary>Whether it can be taken back.</summary>
    public virtual bool CanUndo => false;

    /// <summary>What it will do, in a sentence.</summary>
    public abstract string Describe();

    /// <summary>Finds out whether it is needed, and throws where it cannot be done. Changes nothing.</summary>
    public virtual Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) => Task.FromResult(StepCheck.Needed);

    /// <summary>Does it. When stopped it leaves nothing running.</summary>
    /// <returns>What was done, in a sentence.</returns>
    public abstract Task<string> ActAsync(StepContext context, CancellationToken cancellationToken);

    /// <summary>Throws where what it did is not so.</summary>
    public virtual Task VerifyAsync(StepContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Takes it back, also where it was begun only.</summary>
    /// <returns>What was done, in a sentence.</returns>
    public virtual Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken) => throw new NotSupportedException();
}
