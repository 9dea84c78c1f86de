namespace SmcDr;

/// <summary>An entry in the timeline of an incident.</summary>
public sealed record IncidentEntry
{
    /// <summary>When it was, in UTC, by the clock of the host that noted it.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary><c>Opened</c>, <c>Command</c>, <c>Note</c> or <c>Closed</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>What was done or noted: a command with its arguments, or the note.</summary>
    public required string Text { get; init; }

    /// <summary>
    /// Of a command: <c>Running</c> as long as its end was not noted, <c>Unknown</c> where its process, on this host, is gone without one, <c>Succeeded</c>,
    /// <c>Failed</c>, <c>Declined</c> where nobody confirmed it, or <c>Stopped</c>. Otherwise null.
    /// </summary>
    public string? Outcome { get; init; }

    /// <summary>How long the command took.</summary>
    public TimeSpan? Elapsed { get; init; }

    /// <summary>What went wrong.</summary>
    public string? Problem { get; init; }

    /// <summary>The id of the error.</summary>
    public string? ErrorId { get; init; }

    /// <summary>The phase that began with a note.</summary>
    public IncidentPhase? Phase { get; init; }

    /// <summary>The account and the host that noted it.</summary>
    public required string By { get; init; }

    /// <summary>When it was, and what.</summary>
    public override string ToString() => $"{DisplayText.Time(Time)} {Text}{(Outcome is null ? "" : $" ({Outcome})")}";
}
