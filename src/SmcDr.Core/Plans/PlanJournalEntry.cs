using System.Text.Json;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Plans;

/// <summary>One object of a journal: the beginning, a run that takes it up, or what became of a step.</summary>
internal sealed record PlanJournalEntry
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required string PlanId { get; init; }

    /// <summary>The place in the journal, from 0 on.</summary>
    public required long Number { get; init; }

    /// <summary>By the clock of who wrote it, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    public required string User { get; init; }

    public required string Host { get; init; }

    public required int ProcessId { get; init; }

    /// <summary>The run that wrote it: by which a run knows its own after an answer that was lost.</summary>
    public required string Run { get; init; }

    /// <summary>With number 0.</summary>
    public PlanBegin? Begin { get; init; }

    /// <summary>The step that it is about; null at the beginning of a run.</summary>
    public string? Step { get; init; }

    public PlanStepState? State { get; init; }

    /// <summary>When the step began, in UTC.</summary>
    public DateTimeOffset? StartTime { get; init; }

    public double? ElapsedSeconds { get; init; }

    /// <summary>Whether the step was begun once before it came to this state, so that its time says how long it takes.</summary>
    public bool? IsWhole { get; init; }

    public long? SizeBytes { get; init; }

    public string? Detail { get; init; }

    public string? ErrorId { get; init; }

    /// <summary>What the step has saved.</summary>
    public JsonElement? Output { get; init; }
}
