using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Schedules;

namespace SmcDr.Core.Tests.Schedules;

public sealed class CronScheduleTests
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 29, 15, 7, 30, TimeSpan.Zero);

    [Theory]
    [InlineData("0 */6 * * *", "0 */6 * * *", "*-*-* 00,06,12,18:00:00 UTC", "2026-11-29T18:00:00Z")]
    [InlineData("30 2 * * *", "30 2 * * *", "*-*-* 02:30:00 UTC", "2026-11-30T02:30:00Z")]
    [InlineData("*/20 9-17 * * mon-fri", "*/20 9-17 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 09..17:00,20,40:00 UTC", "2026-11-30T09:00:00Z")]
    [InlineData("15 4 * * 7", "15 4 * * 0", "Sun *-*-* 04:15:00 UTC", "2026-12-06T04:15:00Z")]
    [InlineData("0 5 1 jan,JUL *", "0 5 1 1,7 *", "*-01,07-01 05:00:00 UTC", "2027-01-01T05:00:00Z")]
    [InlineData("5/25 0 * * *", "5,30,55 0 * * *", "*-*-* 00:05,30,55:00 UTC", "2026-11-30T00:05:00Z")]
    [InlineData("0 0 29 2 *", "0 0 29 2 *", "*-02-29 00:00:00 UTC", "2028-02-29T00:00:00Z")]
    [InlineData("0-59 0-23 1-31 * *", "* * * * *", "*-*-* *:*:00 UTC", "2026-11-29T15:08:00Z")]
    [InlineData("0 3 */2 * 1", "0 3 */2 * 1", "Mon *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 03:00:00 UTC", "2026-12-07T03:00:00Z")]
    public void Schedule_OneExpression_IsTheSameInEveryScheduler(string text, string crontab, string calendar, string next)
    {
        CronSchedule schedule = CronSchedule.Parse(text);

        Assert.Equal(crontab, schedule.ToCrontab());
        Assert.Equal([calendar], schedule.ToCalendar("UTC"));
        Assert.Equal(Time(next), schedule.NextAfter(s_start, TimeZoneInfo.Utc));
        Assert.Equal(crontab, CronSchedule.Parse(crontab).ToCrontab());
    }

    [Fact]
    public void Schedule_BothDaysRestricted_IsDueOnEither()
    {
        CronSchedule schedule = CronSchedule.Parse("0 3 13 * 5");

        Assert.Equal(["*-*-13 03:00:00 UTC", "Fri *-*-* 03:00:00 UTC"], schedule.ToCalendar("UTC"));
        Assert.Equal(Time("2026-12-04T03:00:00Z"), schedule.NextAfter(s_start, TimeZoneInfo.Utc));
        Assert.Equal(Time("2026-12-13T03:00:00Z"), schedule.NextAfter(Time("2026-12-11T03:00:00Z"), TimeZoneInfo.Utc));
        Assert.Equal("0 3 13 * 5", schedule.ToCronJob());
    }

    [Fact]
    public void Schedule_DayByAStepBesideAnotherDay_IsRefusedWhereItMeansSomethingElse()
    {
        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, Assert.Throws<SmcException>(() => CronSchedule.Parse("0 3 */2 * 1").ToCronJob()).Code);
        Assert.Equal("0 3 */2 * *", CronSchedule.Parse("0 3 */2 * *").ToCronJob());
        // 1-31 is all days, and the star of the weekdays makes cron take both together: a CronJob must be told so by a star of its own.
        Assert.Equal("0 3 * * 0,2,4,6", CronSchedule.Parse("0 3 1-31 * */2,7").ToCronJob());
        Assert.Equal("0 3 * * */2,7", CronSchedule.Parse("0 3 1-31 * */2,7").ToCrontab());
    }

    [Fact]
    public void NextAfter_TimeThatTheClocksLeaveOut_IsTheNextDay()
    {
        TimeZoneInfo berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");
        CronSchedule schedule = CronSchedule.Parse("30 2 * * *");

        Assert.Equal(Time("2027-03-27T01:30:00Z"), schedule.NextAfter(Time("2027-03-26T12:00:00Z"), berlin));
        Assert.Equal(Time("2027-03-29T00:30:00Z"), schedule.NextAfter(Time("2027-03-27T12:00:00Z"), berlin));
    }

    [Fact]
    public void NextAfter_DayThatNeverComes_IsNull() =>
        Assert.Null(CronSchedule.Parse("0 0 30 2 *").NextAfter(s_start, TimeZoneInfo.Utc));

    [SystemdTheory]
    [InlineData("0 */6 * * *", "UTC")]
    [InlineData("*/20 9-17 * * mon-fri", "Europe/Berlin")]
    [InlineData("15 4 * * 7", "America/New_York")]
    [InlineData("0 5 1 jan,jul *", "UTC")]
    [InlineData("5/25 0 * * *", "UTC")]
    [InlineData("0 0 29 2 *", "UTC")]
    [InlineData("0 3 13 * 5", "UTC")]
    [InlineData("0 3 */2 * 1", "Asia/Tokyo")]
    [InlineData("* * * * *", "UTC")]
    public async Task Schedule_AskedOfSystemd_IsDueAtTheSameTimes(string text, string zone)
    {
        CronSchedule schedule = CronSchedule.Parse(text);
        DateTimeOffset[] expected = new DateTimeOffset[4];
        for (int i = 0; i < expected.Length; i++)
        {
            expected[i] = schedule.NextAfter(i == 0 ? s_start : expected[i - 1], TimeZoneInfo.FindSystemTimeZoneById(zone))!.Value;
        }

        List<DateTimeOffset> found = [];
        foreach (string calendar in schedule.ToCalendar(zone))
        {
            found.AddRange(await AskAsync(calendar, s_start, expected.Length));
        }

        Assert.Equal(expected, found.Distinct().Order().Take(expected.Length));
    }

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);

    private static async Task<IReadOnlyList<DateTimeOffset>> AskAsync(string calendar, DateTimeOffset start, int count)
    {
        ProcessStartInfo info = new("systemd-analyze")
        {
            RedirectStandardOutput = true,
            ArgumentList =
            {
                "calendar", $"--iterations={count}", $"--base-time={start.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)} UTC", calendar,
            },
        };
        info.Environment["TZ"] = "UTC";
        info.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(info)!;
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        return
        [
            .. output.Split('\n').Where(static line => line.Contains("elapse:", StringComparison.Ordinal) || line.Contains("Iter. #", StringComparison.Ordinal))
                .Select(static line => line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim().Split(' '))
                .Select(static parts => DateTimeOffset.Parse($"{parts[1]}T{parts[2]}Z", CultureInfo.InvariantCulture)),
        ];
    }
}
