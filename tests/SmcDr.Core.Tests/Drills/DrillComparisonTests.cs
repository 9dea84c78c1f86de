using SmcDr.Core.Drills;

namespace SmcDr.Core.Tests.Drills;

public sealed class DrillComparisonTests
{
    private static readonly DateTimeOffset s_cutoff = new(2026, 11, 5, 10, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Compare_NothingWrittenNothingFound_HoldsWithoutLoss()
    {
        DrillComparison result = DrillComparison.Compare("x", [], new HashSet<long>(), s_cutoff);

        Assert.True(result.Holds(TimeSpan.Zero));
        Assert.Equal(TimeSpan.Zero, result.Loss);
        Assert.Equal(0, result.Acknowledged);
    }

    [Fact]
    public void Compare_AcknowledgedExactlyAtTheCutoffAndMissing_IsLost()
    {
        DrillComparison result = Compare([Row(1, sent: -0.1, acknowledged: 0)], []);

        Assert.Equal(1, result.Lost[0].Id);
        Assert.Equal(0, result.Recovered);
        Assert.Equal(TimeSpan.Zero, result.Loss);
        Assert.False(result.Holds(TimeSpan.Zero));
        Assert.True(result.Holds(TimeSpan.FromSeconds(2)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Compare_OnTheWayAtTheCutoff_MayBeThereOrNot(bool isThere)
    {
        DrillCommit[] rows = [Row(1, sent: -0.1, acknowledged: 0.1), Row(2, sent: -0.1, acknowledged: null)];

        DrillComparison result = Compare(rows, isThere ? [1, 2] : []);

        Assert.Equal(2, result.Undecided);
        Assert.Equal(0, result.Acknowledged);
        Assert.Empty(result.Lost);
        Assert.Empty(result.Unexpected);
    }

    [Fact]
    public void Compare_SentAfterTheCutoffAndThere_IsUnexpected()
    {
        DrillComparison result = Compare([Row(7, sent: 0.001, acknowledged: 0.002)], [7]);

        Assert.Equal([7L], result.Unexpected);
        Assert.False(result.Holds(TimeSpan.FromHours(1)));
    }

    [Fact]
    public void Compare_SentBeforeButCommittedAfterByTheServersClock_IsUnexpected()
    {
        DrillCommit row = Row(7, sent: -0.1, acknowledged: 0.2) with { CommitTime = s_cutoff.AddTicks(10) };

        Assert.Equal([7L], Compare([row], [7]).Unexpected);
        Assert.Empty(Compare([row with { CommitTime = s_cutoff }], [7]).Unexpected);
    }

    [Fact]
    public void Compare_FoundButNeverWritten_IsUnexpectedInOrder()
    {
        DrillComparison result = Compare([Row(1, -1, -0.9)], [99, 1, 42]);

        Assert.Equal([42L, 99L], result.Unexpected);
        Assert.Equal(1, result.Recovered);
    }

    [Fact]
    public void Compare_LostTail_MeasuresFromTheEarliestLostAcknowledgement()
    {
        DrillCommit[] rows =
        [
            Row(1, -3, -2.9), Row(2, -2, -1.5), Row(3, -1, -0.5),
            Row(11, -3, -2.8, writer: 1), Row(12, -2, -1.75, writer: 1),
        ];

        DrillComparison result = Compare(rows, [1, 11]);

        Assert.Equal([12L, 2L, 3L], result.Lost.Select(static row => row.Id));
        Assert.Equal(1.75, result.Loss.TotalSeconds, 6);
        Assert.Empty(result.Holes);
        Assert.True(result.Holds(TimeSpan.FromSeconds(1.75)));
        Assert.False(result.Holds(TimeSpan.FromSeconds(1.7)));
    }

    [Fact]
    public void Compare_MissingBeforeALaterRowOfTheSameWriter_IsAHoleHoweverShort()
    {
        DrillComparison result = Compare([Row(1, -0.03, -0.02), Row(2, -0.02, -0.01)], [2]);

        Assert.Equal([1L], result.Holes);
        Assert.False(result.Holds(TimeSpan.FromSeconds(2)));
        Assert.Contains("later rows of the same writer", result.Describe(), StringComparison.Ordinal);
    }

    [Fact]
    public void Compare_MissingBeforeALaterRowOfAnotherWriter_IsNoHole()
    {
        // Two writers' acknowledgements can arrive in another order than their commits.
        DrillComparison result = Compare([Row(1, -0.03, -0.02), Row(2, -0.02, -0.01, writer: 1)], [2]);

        Assert.Empty(result.Holes);
        Assert.Single(result.Lost);
    }

    [Fact]
    public void Describe_ManyIds_NamesTheFirstTenAndCountsTheRest()
    {
        DrillCommit[] rows = [.. Enumerable.Range(1, 12).Select(static i => Row(i, -2, -1.5 + (i * 0.01)))];

        string text = Compare(rows, []).Describe();

        Assert.Contains("12 of 12 acknowledged rows are missing", text, StringComparison.Ordinal);
        Assert.Contains("9, 10 and 2 more.", text, StringComparison.Ordinal);
    }

    private static DrillComparison Compare(IEnumerable<DrillCommit> rows, long[] found) =>
        DrillComparison.Compare("x", rows, found.ToHashSet(), s_cutoff);

    private static DrillCommit Row(long id, double sent, double? acknowledged, int writer = 0) =>
        new(id, writer, s_cutoff.AddSeconds(sent), acknowledged is { } seconds ? s_cutoff.AddSeconds(seconds) : null);
}
