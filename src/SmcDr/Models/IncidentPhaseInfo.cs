namespace SmcDr;

/// <summary>A phase of an incident: when it should be, and when it was.</summary>
public sealed record IncidentPhaseInfo
{
    /// <summary>The phase.</summary>
    public required IncidentPhase Phase { get; init; }

    /// <summary>What is done in it.</summary>
    public required string Task { get; init; }

    /// <summary>When it should begin, in UTC.</summary>
    public required DateTimeOffset PlannedTime { get; init; }

    /// <summary>When it should be over, in UTC.</summary>
    public required DateTimeOffset PlannedEndTime { get; init; }

    /// <summary>When somebody noted that it began, in UTC; null where nobody did.</summary>
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>The phase and when it began.</summary>
    public override string ToString() => $"{Phase}: {(StartTime is { } time ? $"begun {DisplayText.Time(time)}" : "not begun")}";
}
