using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

public sealed class DurationTextTests
{
    [Theory]
    [InlineData("15m", "00:15:00")]
    [InlineData("90s", "00:01:30")]
    [InlineData("1h30m", "01:30:00")]
    [InlineData("1.5s", "00:00:01.5")]
    [InlineData("250ms", "00:00:00.25")]
    [InlineData("30d", "30.00:00:00")]
    [InlineData("2w", "14.00:00:00")]
    [InlineData("PT15M", "00:15:00")]
    [InlineData("P1DT2H3.5S", "1.02:00:03.5")]
    [InlineData("P2W", "14.00:00:00")]
    [InlineData("00:15:00", "00:15:00")]
    [InlineData("1.02:03:04.5", "1.02:03:04.5")]
    [InlineData("0s", "00:00:00")]
    public void Parse_AcceptedForm_IsTheDuration(string text, string expected) =>
        Assert.Equal(TimeSpan.Parse(expected, CultureInfo.InvariantCulture), DurationText.Parse(text));

    [Theory]
    [InlineData("15")]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("-15m")]
    [InlineData("15 m")]
    [InlineData("30m1h")]
    [InlineData("15min")]
    [InlineData("P")]
    [InlineData("PT")]
    [InlineData("P1DT")]
    [InlineData("P1M")]
    [InlineData("P1Y")]
    [InlineData("15:00")]
    [InlineData("25:00:00")]
    [InlineData("999999999w")]
    [InlineData("15m\n")]
    public void Parse_OtherText_IsRefusedWithTheAcceptedForms(string text)
    {
        SmcException e = Assert.Throws<SmcException>(() => DurationText.Parse(text));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
        Assert.Contains("PT15M", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Format_AnyDuration_IsReadBackTheSame() =>
        Prop.ForAll(
            ArbMap.Default.ArbFor<TimeSpan>().Filter(static d => d >= TimeSpan.Zero),
            static duration => DurationText.Parse(DurationText.Format(duration)) == duration).QuickCheckThrowOnFailure();
}
