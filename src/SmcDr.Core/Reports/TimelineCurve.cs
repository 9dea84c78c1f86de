namespace SmcDr.Core.Reports;

/// <summary>Something that was measured over time.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Unit">The unit of its values.</param>
/// <param name="Kind">The class of the style sheet that gives it its colour.</param>
/// <param name="Samples">What was measured, in any order.</param>
internal sealed record TimelineCurve(string Name, string Unit, string Kind, IReadOnlyList<(DateTimeOffset Time, double Value)> Samples)
{
    /// <summary>How high it is drawn.</summary>
    public double Height { get; init; } = 60;

    /// <summary>How values are written.</summary>
    public string Format { get; init; } = "0";

    /// <summary>Whether samples that are far apart do not belong to one line.</summary>
    public bool HasGaps { get; init; }
}
