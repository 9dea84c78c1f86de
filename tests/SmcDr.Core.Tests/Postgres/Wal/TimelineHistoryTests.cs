using System.Text;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class TimelineHistoryTests
{
    private const string Sample = "1\t0/A000198\tno recovery target specified\n\n# a comment\n3\t0/B000000\tbefore 2026-11-05 10:00:00+00\n";

    private static TimelineHistory Five { get; } = TimelineHistory.Parse(5, Encoding.UTF8.GetBytes(Sample));

    [Fact]
    public void Parse_ServersFile_GivesAncestorsAndKeepsTheBytes()
    {
        Assert.Equal([(1u, "0/A000198"), (3u, "0/B000000")], Five.Branches.Select(static b => (b.Timeline, b.SwitchLsn.ToString())));
        Assert.Equal("before 2026-11-05 10:00:00+00", Five.Branches[1].Reason);
        Assert.Equal(Sample, Encoding.UTF8.GetString(Five.Content.Span));
        Assert.Equal(Five.Branches, TimelineHistory.Parse(5, TimelineHistory.Format(Five.Branches)).Branches);
    }

    [Fact]
    public void Lineage_NextTimelineIsNotAlwaysOneMore_Trap38()
    {
        Assert.Equal([5u, 3u, 1u], Five.Lineage);
        Assert.Equal(3u, Five.ChildOf(1));
        Assert.Equal(5u, Five.ChildOf(3));
        Assert.Null(Five.ChildOf(5));
        Assert.Equal(Lsn.Parse("0/A000198"), Five.BeginOf(3));
        Assert.Equal(Lsn.Parse("0/B000000"), Five.BeginOf(5));
        Assert.Equal(Lsn.Zero, Five.BeginOf(1));
        Assert.False(Five.Contains(2));
        Assert.Throws<ArgumentException>(() => Five.BeginOf(2));
    }

    [Theory]
    [InlineData("0/A000197", 1)]
    [InlineData("0/A000198", 3)]
    [InlineData("0/AFFFFFF", 3)]
    [InlineData("0/B000000", 5)]
    [InlineData("7/0", 5)]
    public void TimelineAt_Position_IsTheOneItBelongsTo(string lsn, uint timeline) =>
        Assert.Equal(timeline, Five.TimelineAt(Lsn.Parse(lsn)));

    [Theory]
    [InlineData("")]
    [InlineData("# nothing but a comment\n")]
    [InlineData("one\t0/1\tx\n")]
    [InlineData("1\n")]
    [InlineData("1\t0-1\n")]
    [InlineData("5\t0/1\titself\n")]
    [InlineData("0\t0/1\tnone\n")]
    [InlineData("3\t0/1\tx\n1\t0/2\ty\n")]
    [InlineData("1\t0/2\tx\n3\t0/1\ty\n")]
    public void Parse_NoHistory_IsRefused(string text)
    {
        SmcException error = Assert.Throws<SmcException>(() => TimelineHistory.Parse(5, Encoding.UTF8.GetBytes(text)));
        Assert.Equal(SmcErrorCode.WalInvalid, error.Code);
        Assert.Equal("00000005.history", error.Target);
    }
}
