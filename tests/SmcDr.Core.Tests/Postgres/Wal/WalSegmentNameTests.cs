using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class WalSegmentNameTests
{
    [Theory]
    // The low half rolls over at 0x100000000 / size: 256 segments of 16 MB, 4096 of 1 MB, 4 of 1 GB.
    [InlineData("0/0", 16 << 20, "000000010000000000000000")]
    [InlineData("0/FFFFFFFF", 16 << 20, "0000000100000000000000FF")]
    [InlineData("1/0", 16 << 20, "000000010000000100000000")]
    [InlineData("1/0", 1 << 20, "000000010000000100000000")]
    [InlineData("0/FFFFFFFF", 1 << 20, "000000010000000000000FFF")]
    [InlineData("16/B374D848", 1 << 30, "000000010000001600000002")]
    public void Containing_Lsn_IsTheServersName(string lsn, int size, string name)
    {
        WalSegmentName segment = WalSegmentName.Containing(Lsn.Parse(lsn), 1, size);
        Assert.Equal(name, segment.ToString());
        Assert.Equal(segment, WalSegmentName.Parse(name));
        Assert.InRange(Lsn.Parse(lsn) - segment.StartLsn(size), 0, size - 1);
        Assert.Equal(segment, WalSegmentName.FromNumber(1, segment.Number(size), size));
        Assert.Equal(segment.EndLsn(size), segment.Next(size).StartLsn(size));
    }

    [Fact]
    public void ContainingEnd_Boundary_BelongsToThePreviousSegment_Trap33()
    {
        Lsn boundary = Lsn.Parse("0/3000000");
        Assert.Equal("000000010000000000000003", WalSegmentName.Containing(boundary, 1, 16 << 20).ToString());
        Assert.Equal("000000010000000000000002", WalSegmentName.ContainingEnd(boundary, 1, 16 << 20).ToString());
        Assert.Equal("000000010000000000000003", WalSegmentName.ContainingEnd(boundary + 1, 1, 16 << 20).ToString());
    }

    [Theory]
    [InlineData("00000001000000000000000")]
    [InlineData("00000001000000000000000g")]
    [InlineData("00000001000000000000000a")]
    [InlineData("000000010000000000000001.partial")]
    [InlineData("000000000000000000000001")]
    [InlineData(" 0000001000000000000001")]
    [InlineData("")]
    public void TryParse_NoName_IsFalse(string text) => Assert.False(WalSegmentName.TryParse(text, out _));

    [Theory]
    [InlineData(0)]
    [InlineData(1 << 19)]
    [InlineData((16 << 20) + 1)]
    [InlineData(-1)]
    public void Containing_NoSegmentSize_IsRefused(int size) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => WalSegmentName.Containing(new Lsn(1), 1, size));
}
