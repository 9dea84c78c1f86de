using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Repositories;

public sealed class PackUseTests
{
    private const string Own = "20260102T000000Z-incremental";
    private const string Earlier = "20260101T000000Z-full";

    [Theory]
    [InlineData("1-3,5,7-8", 1, 2, 3, 5, 7, 8)]
    [InlineData("1", 1)]
    [InlineData("3-4", 4, 3, 3)]
    public void From_PacksOfAnEarlierBackup_GivesRanges(string expected, params int[] numbers)
    {
        PackUse use = Assert.Single(PackUse.From(Own, numbers.Select(static number => Pack(Earlier, number)).Append(Pack(Own, 9))));
        Assert.Equal(new PackUse(Earlier, expected), use);
        Assert.Equal(numbers.Distinct().Order(), use.Numbers());
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("2-1")]
    [InlineData("1,1")]
    [InlineData("1-999999999")]
    [InlineData("1,-2")]
    [InlineData("one")]
    public void Numbers_TextThatIsNoRanges_IsRefused(string packs)
    {
        SmcException error = Assert.Throws<SmcException>(() => new PackUse(Earlier, packs).Numbers().Count());
        Assert.Equal(SmcErrorCode.ManifestInvalid, error.Code);
    }

    private static PackReference Pack(string backup, int number) => new(Component.Database, backup, number, 1, default);
}
