namespace SmcDr;

/// <summary>A plan in a repository's journal.</summary>
public sealed record PlanInfo
{
    /// <summary>The plan's id.</summary>
    public required string PlanId { get; init; }

    /// <summary>The site's name.</summary>
    public required string Site { get; init; }

    /// <summary>The command that carries it out.</summary>
    public string Operation { get; init; } = "";

    /// <summary>What it does, for people.</summary>
    public required string Title { get; init; }

    /// <summary>
    /// <c>Succeeded</c>, <c>Undone</c> or <c>Abandoned</c> where it has ended; <c>Running</c> where somebody has the site's lease for it;
    /// else <c>Unfinished</c>: whoever runs the command again goes on with it. <c>Damaged</c> where the journal cannot be read; then
    /// <see cref="Title"/> says why, and nothing else is known.
    /// </summary>
    public required string State { get; init; }

    /// <summary>When it was begun, in UTC.</summary>
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>When it ended, in UTC; none where it did not.</summary>
    public DateTimeOffset? EndTime { get; init; }

    /// <summary>When something was last noted of a step, in UTC.</summary>
    public DateTimeOffset? LastTime { get; init; }

    /// <summary>How long it took from its beginning to its end, pauses between runs among it; none where it has not ended.</summary>
    public TimeSpan? Elapsed => EndTime - StartTime;

    /// <summary>The same in seconds.</summary>
    public double? ElapsedSeconds => Elapsed?.TotalSeconds;

    /// <summary>Who was at it last: account and host.</summary>
    public string By { get; init; } = "";

    /// <summary>How many runs there were; more than one where it was interrupted.</summary>
    public int Runs { get; init; }

    /// <summary>How many of its steps are done.</summary>
    public int DoneCount { get; init; }

    /// <summary>How many steps it has.</summary>
    public int StepCount { get; init; }

    /// <summary>Its steps, in order.</summary>
    public IReadOnlyList<PlanStepResult> Steps { get; init => field = ResultList.Of(value); } = new ResultList<PlanStepResult>([]);

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
