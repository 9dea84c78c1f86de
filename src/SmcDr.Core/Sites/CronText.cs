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
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < s_fields.Length; i++)
        {
            foreach (string item in parts[i].Split(','))
            {
                if (!IsItem(item, i))
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

    private static bool IsItem(string item, int field)
    {
        string[] steps = item.Split('/');
        if (steps.Length > 2 || steps.Length == 2 &&
            !(int.TryParse(steps[1], NumberStyles.None, CultureInfo.InvariantCulture, out int step) && step > 0))
        {
            return false;
        }

        if (steps[0] == "*")
        {
            return true;
        }

        string[] ends = steps[0].Split('-');
        return ends.Length switch
        {
            1 => ValueOf(ends[0], field) is not null,
            2 => ValueOf(ends[0], field) is { } first && ValueOf(ends[1], field) is { } last && first <= last,
            _ => false,
        };
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
