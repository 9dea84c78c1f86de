using SmcDr.Core.Drills;

namespace SmcDr.Core.Tests.Drills;

public sealed class CommitRateTests
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 5, 10, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Of_EvenCommits_IsTheirRateInEveryBucket()
    {
        IEnumerable<DateTimeOffset> commits = Enumerable.Range(0, 1000).Select(static i => s_start.AddMilliseconds((i * 10) + 5));

        IReadOnlyList<DrillSample> rate = CommitRate.Of(commits, s_start, s_start.AddSeconds(10));

        Assert.Equal(20, rate.Count);
        Assert.All(rate, static sample => Assert.Equal(100, sample.Value, 3));
        Assert.Equal(s_start.AddSeconds(0.25), rate[0].Time);
    }

    [Theory]
    [InlineData(0.01)]
    [InlineData(7.3)]
    [InlineData(90_000)]
    public void Of_AnyLength_CountsEveryCommitOnceInBoundedBuckets(double seconds)
    {
        DateTimeOffset end = s_start.AddSeconds(seconds);
        DateTimeOffset[] commits = [s_start, s_start.AddSeconds(seconds / 2), end, s_start.AddSeconds(-1), end.AddSeconds(1)];

        IReadOnlyList<DrillSample> rate = CommitRate.Of(commits, s_start, end);

        Assert.InRange(rate.Count, 1, 240);
        Assert.Equal(3, rate.Sum(static sample => sample.Value) * seconds / rate.Count, 6);
    }

    [Fact]
    public void Of_NoTime_IsEmpty() => Assert.Empty(CommitRate.Of([s_start], s_start, s_start));
}
