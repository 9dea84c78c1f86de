using SmcDr.Core.Repositories;

namespace SmcDr.Core.Plans;

/// <summary>What ends a journal: the whole in short, so that who learns from it reads one object for each plan.</summary>
internal sealed record PlanEnd
{
    /// <summary>All steps are done.</summary>
    public const string Succeeded = "Succeeded";

    /// <summary>All that was done is taken back.</summary>
    public const string Undone = "Undone";

    /// <summary>It was given up for another.</summary>
    public const string Abandoned = "Abandoned";

    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required string PlanId { get; init; }

    public required string Operation { get; init; }

    /// <summary><see cref="Succeeded"/>, <see cref="Undone"/> or <see cref="Abandoned"/>.</summary>
    public required string Outcome { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    public required DateTimeOffset EndTime { get; init; }

    public required string User { get; init; }

    public required string Host { get; init; }

    /// <summary>How many runs there were: more than one where it was interrupted.</summary>
    public required int Runs { get; init; }

    public required IReadOnlyList<EndedStep> Steps { get; init; }
}

/// <summary>How a step ended.</summary>
/// <param name="Key">The step's key.</param>
/// <param name="State">How it ended.</param>
/// <param name="ElapsedSeconds">How long it took, where it was done without an interruption.</param>
/// <param name="SizeBytes">How much it handled.</param>
internal sealed record EndedStep(string Key, PlanStepState State, double? ElapsedSeconds, long? SizeBytes);
