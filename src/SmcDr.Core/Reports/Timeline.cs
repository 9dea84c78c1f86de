namespace SmcDr.Core.Reports;

/// <summary>What is drawn over time.</summary>
internal sealed record Timeline
{
    /// <summary>What it shows, for who cannot see it.</summary>
    public required string Label { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    public required DateTimeOffset EndTime { get; init; }

    /// <summary>What was measured, drawn above the lanes.</summary>
    public IReadOnlyList<TimelineCurve> Curves { get; init; } = [];

    public required IReadOnlyList<TimelineLane> Lanes { get; init; }

    /// <summary>Instants that cut through all of it.</summary>
    public IReadOnlyList<TimelineMark> Marks { get; init; } = [];

    /// <summary>The names of all phases of spans, in the order of their colours.</summary>
    public IReadOnlyList<string> PhaseNames =>
        [.. Lanes.SelectMany(static lane => lane.Spans).SelectMany(static span => span.Phases).Select(static phase => phase.Name).Distinct(StringComparer.Ordinal)];
}
