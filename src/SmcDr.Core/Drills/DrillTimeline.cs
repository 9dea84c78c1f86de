using SmcDr.Core.Reports;

namespace SmcDr.Core.Drills;

/// <summary>A drill as lanes over time: commits, WAL lag, server, backups, recoveries, checks, and the instants that cut through them.</summary>
internal static class DrillTimeline
{
    public static Timeline Of(DrillResult result, DrillEvidence evidence) => new()
    {
        Label = "The drill over time",
        StartTime = result.StartTime,
        EndTime = result.StartTime.AddSeconds(result.DurationSeconds),
        Curves = [.. Curves(evidence)],
        Lanes = [.. Lanes(evidence)],
        Marks = [.. evidence.Marks.Select(static mark => new TimelineMark(mark.Time, mark.Label, mark.IsDisaster))],
    };

    private static IEnumerable<TimelineCurve> Curves(DrillEvidence evidence)
    {
        yield return new TimelineCurve("Commits", "per second", "commits", Samples(evidence.CommitRate)) { Height = 104 };
        yield return new TimelineCurve("WAL at risk", "seconds", "lag", Samples(evidence.WalLag)) { Format = "0.#", HasGaps = true };
        if (evidence.RedisWriteRate.Count > 0)
        {
            yield return new TimelineCurve("Redis writes", "per second", "redis", Samples(evidence.RedisWriteRate));
        }
    }

    private static IEnumerable<TimelineLane> Lanes(DrillEvidence evidence)
    {
        yield return Lane(evidence, DrillLane.Server, "Server", "server");
        if (evidence.Spans.Any(static span => span.Lane == DrillLane.Redis))
        {
            yield return Lane(evidence, DrillLane.Redis, "Redis", "redis");
        }

        yield return Lane(evidence, DrillLane.Backup, "Backups", "backup");
        yield return Lane(evidence, DrillLane.Recovery, "Recoveries", "recovery");
        yield return Lane(evidence, DrillLane.Check, "Checks", "check");
    }

    private static TimelineLane Lane(DrillEvidence evidence, DrillLane lane, string name, string kind) => new(
        name,
        kind,
        [
            .. evidence.Spans.Where(span => span.Lane == lane)
                .Select(static span => new TimelineSpan(
                    span.Label, span.StartTime, span.EndTime, [.. span.Phases.Select(static phase => (phase.Name, phase.Duration))])),
        ]);

    private static IReadOnlyList<(DateTimeOffset Time, double Value)> Samples(IReadOnlyList<DrillSample> samples) =>
        [.. samples.Select(static sample => (sample.Time, sample.Value))];
}
