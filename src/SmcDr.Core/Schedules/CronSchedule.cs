using System.Globalization;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>When something is due: the five fields of cron as sets of values, and the same in the words of other schedulers.</summary>
internal sealed class CronSchedule
{
    // Leap days that fall on a given weekday come once in 28 years, and in 40 around a year such as 2100.
    private const int MaximumYears = 41;

    private static readonly string[] s_weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

    private readonly Field _minute;
    private readonly Field _hour;
    private readonly Field _day;
    private readonly Field _month;
    private readonly Field _weekday;

    private CronSchedule(string text, Field[] fields)
    {
        Text = text;
        (_minute, _hour, _day, _month, _weekday) = (fields[0], fields[1], fields[2], fields[3], fields[4]);
    }

    /// <summary>As the site file has it.</summary>
    public string Text { get; }

    // crontab(5): "If both fields are restricted (i.e., do not contain the "*" character), the command will be run when either field matches".
    private bool IsEitherDay => !_day.HasStar && !_weekday.HasStar;

    /// <summary>Reads a schedule that the site file's rules have accepted.</summary>
    public static CronSchedule Parse(string text) => new(
        text, [.. CronText.FieldsOf(text).Select(static (part, index) => Field.Parse(part, index))]);

    /// <summary>In the form that every cron reads alike: names as numbers, Sunday as 0, a step on a range.</summary>
    public string ToCrontab() => ToCron(static field => field.HasStar);

    /// <summary>
    /// In the form of a CronJob. Its parser (robfig/cron, spec.go) takes a day as unrestricted only where it is <c>*</c> alone, while cron takes
    /// <c>*/2</c> for it as well, so what has such a step together with another restriction of the day means something else there.
    /// </summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ScheduleUnsuitable"/>: it cannot be said there.</exception>
    public string ToCronJob() => !IsEitherDay && !_day.IsAll && !_weekday.IsAll
        ? throw new SmcException(
            SmcErrorCode.ScheduleUnsuitable,
            $"The schedule '{Text}' restricts the day of the month and the day of the week by a step of '*', which a CronJob takes for either of them, and cron for both.",
            recommendation: "Restrict one of the two, and leave the other '*'.",
            target: Text)
        : ToCron(static field => field.HasStar && !field.Text.Contains(',', StringComparison.Ordinal));

    /// <param name="isKept">Whether a field is written as it was: whether it begins with <c>*</c> matters to cron.</param>
    private string ToCron(Func<Field, bool> isKept)
    {
        return string.Join(' ', Of(_minute, true), Of(_hour, true), Of(_day, !IsEitherDay), Of(_month, true), Of(_weekday, !IsEitherDay));

        string Of(Field field, bool mayBeStar) => field.IsAll && mayBeStar ? "*" : isKept(field) ? field.Text : field.Join("-", "0");
    }

    /// <summary>
    /// As calendar events of systemd (systemd.time(7)), any of which counts. Where either of two days counts there are two: one expression takes both
    /// together.
    /// </summary>
    /// <param name="zone">The time zone's name.</param>
    public IReadOnlyList<string> ToCalendar(string zone)
    {
        string time = $"{_hour.ToCalendar("00")}:{_minute.ToCalendar("00")}:00 {zone}";
        return IsEitherDay
            ? [$"*-{_month.ToCalendar("00")}-{_day.ToCalendar("00")} {time}", $"{Weekdays()}*-{_month.ToCalendar("00")}-* {time}"]
            : [$"{Weekdays()}*-{_month.ToCalendar("00")}-{_day.ToCalendar("00")} {time}"];
    }

    /// <summary>When it is due next, in UTC; null where it never is, such as on the 30th of February.</summary>
    /// <param name="after">From when on, not itself.</param>
    /// <param name="zone">The time zone that the fields are in.</param>
    public DateTimeOffset? NextAfter(DateTimeOffset after, TimeZoneInfo zone)
    {
        DateTime start = TimeZoneInfo.ConvertTime(after, zone).DateTime;
        DateOnly last = DateOnly.FromDateTime(start).AddYears(MaximumYears);
        for (DateOnly day = DateOnly.FromDateTime(start); day < last; day = day.AddDays(1))
        {
            if (!IsDue(day))
            {
                continue;
            }

            foreach (int hour in _hour.Values)
            {
                foreach (int minute in _minute.Values)
                {
                    DateTime local = day.ToDateTime(new TimeOnly(hour, minute));
                    // What the clocks leave out in spring does not come; schedulers differ in what they do then.
                    if (!zone.IsInvalidTime(local) && new DateTimeOffset(local, zone.GetUtcOffset(local)).ToUniversalTime() is var time && time > after)
                    {
                        return time;
                    }
                }
            }
        }

        return null;
    }

    private bool IsDue(DateOnly day)
    {
        bool isDay = _day.Values.Contains(day.Day);
        bool isWeekday = _weekday.Values.Contains((int)day.DayOfWeek);
        return _month.Values.Contains(day.Month) && (IsEitherDay ? isDay || isWeekday : isDay && isWeekday);
    }

    private string Weekdays() => _weekday.IsAll ? "" : string.Join(',', _weekday.Values.Select(static day => s_weekdays[day])) + " ";

    /// <summary>One field.</summary>
    /// <param name="Text">As it was written.</param>
    /// <param name="Values">The values, in order.</param>
    /// <param name="HasStar">Whether it begins with <c>*</c>.</param>
    /// <param name="IsAll">Whether it is <c>*</c>, or comes to the same.</param>
    private sealed record Field(string Text, IReadOnlyList<int> Values, bool HasStar, bool IsAll)
    {
        public static Field Parse(string text, int index)
        {
            int[] all = [.. CronText.TryExpand("*", index)!];
            // Sunday is 0 and 7 in cron, and 0 alone in a CronJob.
            int[] values =
            [
                .. text.Split(',').SelectMany(item => CronText.TryExpand(item, index)!).Select(value => index == 4 ? value % 7 : value).Distinct().Order(),
            ];
            return new Field(text, values, text.StartsWith('*'), values.Length == all.Length);
        }

        public string ToCalendar(string format) => IsAll ? "*" : Join("..", format);

        /// <summary>The values, neighbours as ranges.</summary>
        public string Join(string range, string format)
        {
            List<string> parts = [];
            for (int i = 0; i < Values.Count;)
            {
                int end = i;
                while (end + 1 < Values.Count && Values[end + 1] == Values[end] + 1)
                {
                    end++;
                }

                // Two neighbours are read more easily as such than as a range.
                if (end - i >= 2)
                {
                    parts.Add(Number(Values[i]) + range + Number(Values[end]));
                    i = end + 1;
                }
                else
                {
                    parts.Add(Number(Values[i++]));
                }
            }

            return string.Join(',', parts);

            string Number(int value) => value.ToString(format, CultureInfo.InvariantCulture);
        }
    }
}
