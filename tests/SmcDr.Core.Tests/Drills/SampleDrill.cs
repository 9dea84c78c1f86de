using SmcDr.Core.Drills;

namespace SmcDr.Core.Tests.Drills;

/// <summary>A drill as it could have been, at any length.</summary>
internal static class SampleDrill
{
    public static readonly DateTimeOffset Start = new(2026, 11, 5, 9, 58, 41, 300, TimeSpan.Zero);

    public static DrillResult Result(double seconds = 74, bool succeeded = true) => new()
    {
        Succeeded = succeeded,
        Acknowledged = 48_211,
        Recovered = succeeded ? 48_211 : 48_209,
        LostAcknowledged = succeeded ? 0 : 2,
        UnexpectedRows = 0,
        RpoSeconds = succeeded ? 0 : 3.4,
        RtoSeconds = 8.42,
        RpoObjectiveSeconds = 300,
        RtoObjectiveSeconds = 900,
        RedisAcknowledged = 3_120,
        RedisRecovered = 2_044,
        RedisLostAcknowledged = 1_076,
        RedisUnexpectedKeys = 0,
        RedisRpoSeconds = 2.31,
        RedisRtoSeconds = 1.84,
        RedisRpoObjectiveSeconds = 900,
        RedisRtoObjectiveSeconds = 300,
        RedisServerVersion = "7.0.15",
        ServerVersion = "15.14",
        DatabaseBytes = 231_000_000,
        StartTime = Start,
        DurationSeconds = seconds,
        Steps =
        [
            Step("Create the server", 0, 0.02 * seconds, "PostgreSQL 15.14 on 127.0.0.1:40123, with data checksums."),
            Step("Load data", 0.02 * seconds, 0.2 * seconds, "1,203,000 rows, 200.4 MiB."),
            Step("Base backup", 0.25 * seconds, 0.1 * seconds, "20261105T095902Z-full under load."),
        ],
    };

    public static DrillEvidence Evidence(double seconds = 74)
    {
        DrillComparison comparison = DrillComparison.Compare("Data dropped", [], new HashSet<long>(), At(0.41));
        return new DrillEvidence
        {
            Comparisons = [comparison, comparison with { Name = "Server destroyed" }],
            Checks =
            [
                new DrillCheck("Data dropped", "Rows in trades", "1,203,000", "1,203,000", true),
                new DrillCheck("Data dropped", "Sum of all balances", "50,000,000.00", "50,000,000.00", true),
            ],
            Spans =
            [
                new DrillSpan(DrillLane.Server, "Timeline 1", At(0.02), At(0.44)),
                new DrillSpan(DrillLane.Server, "Timeline 2", At(0.52), At(0.8)),
                new DrillSpan(DrillLane.Server, "Timeline 3", At(0.91), At(0.99)),
                new DrillSpan(DrillLane.Redis, "Redis 7.0.15", At(0.93), At(0.96)),
                new DrillSpan(DrillLane.Redis, "Redis 7.0.15", At(0.98), At(0.995)),
                new DrillSpan(DrillLane.Backup, "Redis", At(0.94), At(0.945)),
                new DrillSpan(DrillLane.Backup, "Backup", At(0.25), At(0.35)),
                new DrillSpan(DrillLane.Backup, "Backup", At(0.6), At(0.7)),
                Recovery("Recovery", 0.43, 0.54),
                Recovery("Recovery", 0.81, 0.92),
                new DrillSpan(DrillLane.Check, "Rows", At(0.54), At(0.545)),
                new DrillSpan(DrillLane.Check, "amcheck", At(0.545), At(0.56)),
                new DrillSpan(DrillLane.Check, "pg_checksums", At(0.56), At(0.58)),
            ],
            Marks =
            [
                new DrillMark(At(0.41), "Recovered to", false),
                new DrillMark(At(0.42), "Data dropped", true),
                new DrillMark(At(0.8), "Server destroyed", true),
                new DrillMark(At(0.96), "Redis destroyed", true),
            ],
            CommitRate = [.. Enumerable.Range(0, 120).Select(i => new DrillSample(
                At(i / 120.0), i is > 51 and < 65 or > 95 or < 25 ? 0 : 700 + (150 * Math.Sin(i * 1.7))))],
            WalLag = [.. Enumerable.Range(24, 70).Select(i => new DrillSample(At(i / 120.0), i is > 51 and < 65 ? 0 : 0.5 + (0.45 * Math.Sin(i * 2.3))))],
            RedisWriteRate = [.. Enumerable.Range(0, 120).Select(i => new DrillSample(At(i / 120.0), i is > 112 and < 115 ? 480 : 0))],
            RedisComparison = comparison with { Name = "Redis destroyed", Noun = "key" },
            RepositoryBytes = 142_000_000,
        };

        DateTimeOffset At(double share) => Start.AddSeconds(share * seconds);

        DrillSpan Recovery(string label, double from, double to) => new(DrillLane.Recovery, label, At(from), At(to))
        {
            Phases =
            [
                new DrillPhase("Stop and plan", TimeSpan.FromSeconds(0.1 * seconds * (to - from))),
                new DrillPhase("Restore files", TimeSpan.FromSeconds(0.4 * seconds * (to - from))),
                new DrillPhase("Replay WAL", TimeSpan.FromSeconds(0.3 * seconds * (to - from))),
                new DrillPhase("Check the server", TimeSpan.FromSeconds(0.1 * seconds * (to - from))),
                new DrillPhase("Compare", TimeSpan.FromSeconds(0.1 * seconds * (to - from))),
            ],
        };
    }

    private static DrillStep Step(string name, double from, double took, string detail) => new()
    {
        Name = name,
        Outcome = "Passed",
        StartTime = Start.AddSeconds(from),
        DurationSeconds = took,
        Detail = detail,
    };
}
