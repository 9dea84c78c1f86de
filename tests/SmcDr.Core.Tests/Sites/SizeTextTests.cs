using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

public sealed class SizeTextTests
{
    [Theory]
    [InlineData("0B", 0)]
    [InlineData("512KiB", 512 * 1024)]
    [InlineData("200MB", 200_000_000)]
    [InlineData("200 mb", 200_000_000)]
    [InlineData("1GiB", 1L << 30)]
    [InlineData("1.5GiB", 3L << 29)]
    [InlineData("2TB", 2_000_000_000_000)]
    public void Parse_AcceptedForm_IsTheSize(string text, long expected) => Assert.Equal(expected, SizeText.Parse(text));

    [Theory]
    [InlineData("200")]
    [InlineData("")]
    [InlineData("-1MB")]
    [InlineData("1M")]
    [InlineData("1MBit")]
    [InlineData("1,5GB")]
    [InlineData("999999999999PiB")]
    public void Parse_OtherText_IsRefused(string text) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => SizeText.Parse(text)).Code);

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(long.MaxValue, "8192.0 PiB")]
    public void Format_Bytes_IsRoundedToOneDecimal(long bytes, string expected) => Assert.Equal(expected, SizeText.Format(bytes));
}
