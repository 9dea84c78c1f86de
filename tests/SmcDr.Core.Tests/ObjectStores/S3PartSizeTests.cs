using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.ObjectStores;

public sealed class S3PartSizeTests
{
    private const long Tebibyte = 1L << 40;

    [Fact]
    public void Of_TenThousandParts_HoldFiveTebibytes()
    {
        long total = Enumerable.Range(1, S3PartSize.MaximumParts).Sum(static number => S3PartSize.Of(number, equalParts: false, "k", "l"));
        Assert.True(total >= 5 * Tebibyte);
    }

    [Fact]
    public void Of_Parts_StartSmallNeverShrinkAndStayWithinS3sLimits()
    {
        long[] sizes = [.. Enumerable.Range(1, S3PartSize.MaximumParts).Select(static number => S3PartSize.Of(number, false, "k", "l"))];
        Assert.Equal(S3PartSize.Smallest, sizes[0]);
        Assert.True(sizes.Zip(sizes.Skip(1)).All(static pair => pair.First <= pair.Second));
        Assert.All(sizes, static size => Assert.InRange(size, 5L * 1024 * 1024, 5L * 1024 * 1024 * 1024));
    }

    [Fact]
    public void Of_EqualParts_AreEqual() =>
        Assert.Single(Enumerable.Range(1, S3PartSize.MaximumParts).Select(static number => S3PartSize.Of(number, true, "k", "l")).Distinct());

    [Fact]
    public void Of_OnePartTooMany_IsRefused() =>
        Assert.Equal(
            SmcErrorCode.StorageFull,
            Assert.Throws<SmcException>(() => S3PartSize.Of(S3PartSize.MaximumParts + 1, false, "k", "l")).Code);

    [Fact]
    public void SlotsOf_LargeParts_TakeAllSoThatOneIsUnderWay()
    {
        Assert.Equal(1, S3PartSize.SlotsOf(S3PartSize.Smallest, 4));
        Assert.Equal(2, S3PartSize.SlotsOf(4 * S3PartSize.Smallest, 4));
        Assert.Equal(4, S3PartSize.SlotsOf(S3PartSize.Largest, 4));
    }
}
