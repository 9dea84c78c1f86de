using SmcDr.Core.Repositories;

namespace SmcDr.Core.Incidents;

/// <summary>One object of an incident: its beginning, a note, a command's beginning, or a command's end.</summary>
internal sealed record IncidentJournalEntry
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required string IncidentId { get; init; }

    /// <summary>The place among the entries, from 0 on.</summary>
    public required long Number { get; init; }

    /// <summary>By the clock of who wrote it, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    public required string User { get; init; }

    public required string Host { get; init; }

    /// <summary>What tells this entry from others of its number: by which who wrote it knows it after an answer that was lost.</summary>
    public required string EntryId { get; init; }

    /// <summary>With number 0.</summary>
    public IncidentBegin? Begin { get; init; }

    /// <summary>A note.</summary>
    public string? Note { get; init; }

    /// <summary>The phase that begins with the note.</summary>
    public IncidentPhase? Phase { get; init; }

    /// <summary>A command that begins, with its arguments.</summary>
    public string? Command { get; init; }

    /// <summary>Of a command that begins, the process that it runs in: one that is gone without an end was killed, or could not note it.</summary>
    public IncidentProcess? Process { get; init; }

    /// <summary>The <see cref="EntryId"/> of the entry in which the command began that has ended.</summary>
    public string? EndOf { get; init; }

    public string? Outcome { get; init; }

    public double? ElapsedSeconds { get; init; }

    public string? Problem { get; init; }

    public string? ErrorId { get; init; }
}
