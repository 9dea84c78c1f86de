using System.Globalization;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

public sealed class InstantTextTests
{
    [Theory]
    [InlineData("2026-11-05T10:00:00Z", "2026-11-05T10:00:00.0000000+00:00")]
    [InlineData("2026-11-05T11:00:00+01:00", "2026-11-05T10:00:00.0000000+00:00")]
    [InlineData("2026-11-05T11:00:00+0100", "2026-11-05T10:00:00.0000000+00:00")]
    [InlineData("2026-11-05 11:00:00.123456+01", "2026-11-05T10:00:00.1234560+00:00")]
    [InlineData("2026-11-05 10:00:00.123456789Z", "2026-11-05T10:00:00.1234567+00:00")]
    [InlineData("2026-11-05T10:00z", "2026-11-05T10:00:00.0000000+00:00")]
    [InlineData("2026-11-05 04:30:00 -05:30", "2026-11-05T10:00:00.0000000+00:00")]
    [InlineData("2026-11-05 10:00 UTC", "2026-11-05T10:00:00.0000000+00:00")]
    public void Parse_WithZoneOrOffset_IsTheInstantInUtc(string text, string expected)
    {
        DateTimeOffset instant = InstantText.Parse(text);

        Assert.Equal(expected, instant.ToString("O", CultureInfo.InvariantCulture));
    }

    [Theory]
    [InlineData("2026-11-05T10:00:00")]
    [InlineData("2026-11-05 10:00")]
    [InlineData("2026-11-05")]
    [InlineData("05/11/2026 10:00")]
    [InlineData("5.11.2026 10:00")]
    [InlineData("10:00")]
    [InlineData("2026-11-05 10:00:00 CET")]
    [InlineData("2026-11-05 10:00:00 Europe/Berlin")]
    [InlineData("yesterday 14:30")]
    [InlineData("Today 9:00")]
    [InlineData("yesterday 14:30 CET")]
    public void Parse_WithoutZone_IsAmbiguousAndShowsTheAcceptedForms(string text)
    {
        SmcException e = Assert.Throws<SmcException>(() => InstantText.Parse(text));

        Assert.Equal(SmcErrorCode.TargetTimeAmbiguous, e.Code);
        Assert.Contains(text, e.Message, StringComparison.Ordinal);
        Assert.Contains("2026-11-05T11:00:00+01:00", e.Recommendation, StringComparison.Ordinal);
        Assert.Contains("-10m", e.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("yesterday")]
    [InlineData("")]
    [InlineData("10m")]
    [InlineData("+10m")]
    [InlineData("-10")]
    [InlineData("2026-13-05T10:00:00Z")]
    [InlineData("2026-11-05T25:00:00Z")]
    [InlineData("2026-11-05T10:00:00+25:00")]
    [InlineData("-9999999d")]
    public void Parse_NoTime_IsRefused(string text) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => InstantText.Parse(text)).Code);

    [Theory]
    [InlineData("yesterday 14:30 UTC", "2026-11-04T14:30:00Z")]
    [InlineData("Yesterday 14:30:05.5Z", "2026-11-04T14:30:05.5Z")]
    [InlineData("today 09:15Z", "2026-11-05T09:15:00Z")]
    // At 23:30 in UTC it is the 6th where the clock is an hour ahead.
    [InlineData("today 00:15 +01:00", "2026-11-05T23:15:00Z")]
    [InlineData("yesterday 00:15+0100", "2026-11-04T23:15:00Z")]
    public void Parse_DayByName_IsThatDayInTheZoneThatIsGiven(string text, string expected)
    {
        FixedClock clock = new(new DateTimeOffset(2026, 11, 5, 23, 30, 0, TimeSpan.Zero));

        Assert.Equal(DateTimeOffset.Parse(expected, CultureInfo.InvariantCulture), InstantText.Parse(text, clock));
    }

    [Fact]
    public void Parse_Relative_CountsBackFromNow()
    {
        FixedClock clock = new(new DateTimeOffset(2026, 11, 5, 10, 0, 0, TimeSpan.Zero));

        Assert.Equal(clock.GetUtcNow().AddMinutes(-90), InstantText.Parse("-1h30m", clock));
    }

    [Fact]
    public void Parse_UnderAnotherCulture_IsTheSame()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            // Thailand counts years from 543 BC.
            CultureInfo.CurrentCulture = new CultureInfo("th-TH");
            Assert.Equal(new DateTimeOffset(2026, 11, 5, 10, 0, 0, TimeSpan.Zero), InstantText.Parse("2026-11-05T10:00:00Z"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    private sealed class FixedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
