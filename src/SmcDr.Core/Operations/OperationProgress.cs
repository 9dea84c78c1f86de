namespace SmcDr.Core.Operations;

/// <summary>How far an activity is.</summary>
/// <param name="Activity">What is done, such as <c>Base backup</c>. The same text throughout the activity: it is its identity.</param>
/// <param name="Status">What is being done at this moment.</param>
/// <param name="Done">How much is done, in <paramref name="Unit"/>.</param>
/// <param name="Total">How much there is to do, where known.</param>
/// <param name="Unit">What is counted.</param>
public sealed record OperationProgress(
    string Activity,
    string Status,
    long Done = 0,
    long? Total = null,
    ProgressUnit Unit = ProgressUnit.Bytes)
{
    /// <summary>The activity that this one is part of.</summary>
    public string? Parent { get; init; }

    /// <summary>Whether the activity is over, well or not. Raised exactly once, in a <c>finally</c>.</summary>
    public bool IsCompleted { get; init; }
}
