using System.Globalization;

namespace SmcDr.Core.Sites;

/// <summary>Schedules in the form of cron (crontab(5)): five fields of lists, ranges and steps.</summary>
internal static class CronText
{
    private static readonly (string Name, int Minimum, int Maximum, string[] Names)[] s_fields =
    [
        ("minute", 0, 59, []),
        ("hour", 0, 23, []),
        ("day of month", 1, 31, []),
        ("month", 1, 12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        ("day of week", 0, 7, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ];

    /// <summary>What is wrong with a schedule, as the rest of a sentence that begins with its key, or null.</summary>
    public static string? FindProblem(string text)
    {
        string[] parts = FieldsOf(text);
        for (int i = 0; i < s_fields.Length; i++)
        {
            foreach (string item in parts[i].Split(','))
            {
                if (TryExpand(item, i) is null)
                {
                    (string name, int minimum, int maximum, _) = s_fields[i];
                    return string.Create(
                        CultureInfo.InvariantCulture,
                        $"has '{item}' as {name}, where a number from {minimum} to {maximum}, a range, '*' or a step such as */6 is expected");
                }
            }
        }

        return null;
    }

    /// <summary>The five fields of a schedule.</summary>
    public static string[] FieldsOf(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The values that an item of a field's list stands for, such as 0, 20 and 40 for <c>*/20</c>; null where it is none.</summary>
    public static IEnumerable<int>? TryExpand(string item, int field)
    {
        (_, int minimum, int maximum, _) = s_fields[field];
        string[] steps = item.Split('/');
        int step = 1;
        if (steps.Length > 2 || steps.Length == 2 &&
            !(int.TryParse(steps[1], NumberStyles.None, CultureInfo.InvariantCulture, out step) && step > 0))
        {
            return null;
        }

        string[] ends = steps[0].Split('-');
        (int? first, int? last) = steps[0] == "*"
            // Sunday once: the 7 is another name of it.
            ? (minimum, field == 4 ? 6 : maximum)
            : ends.Length switch
            {
                1 => (ValueOf(ends[0], field), steps.Length == 2 ? maximum : ValueOf(ends[0], field)),
                2 => (ValueOf(ends[0], field), ValueOf(ends[1], field)),
                _ => (null, null),
            };
        return first is { } from && last is { } to && from <= to ? Values(from, to, step) : null;
    }

    private static IEnumerable<int> Values(int first, int last, int step)
    {
        for (long value = first; value <= last; value += step)
        {
            yield return (int)value;
        }
    }

    private static int? ValueOf(string text, int field)
    {
        (_, int minimum, int maximum, string[] names) = s_fields[field];
        int named = Array.FindIndex(names, name => name.Equals(text, StringComparison.OrdinalIgnoreCase));
        if (named >= 0)
        {
            return named + minimum;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= minimum && value <= maximum
            ? value
            : null;
    }
}
