using System.Globalization;

namespace SmcDr.Core.Platform;

/// <summary>What should be mounted on this host, and what is.</summary>
internal static class MountPoints
{
    private const string Table = "/etc/fstab";
    private const string Mounted = "/proc/self/mountinfo";

    /// <summary>The mount point at or above a path that fstab(5) names and on which nothing is mounted; null where there is none.</summary>
    public static string? FindMissing(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            return File.Exists(Table) ? FindMissing(path, File.ReadLines(Table), File.ReadLines(Mounted)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is only one of the ways to notice.
            return null;
        }
    }

    /// <summary>As the other one.</summary>
    /// <param name="path">The path.</param>
    /// <param name="table">The lines of fstab(5).</param>
    /// <param name="mounted">The lines of /proc/self/mountinfo (proc_pid_mountinfo(5)).</param>
    internal static string? FindMissing(string path, IEnumerable<string> table, IEnumerable<string> mounted)
    {
        HashSet<string> present = [.. mounted.Select(static line => FieldOf(line, 4)).OfType<string>()];
        string? missing = null;
        foreach (string line in table.Select(static line => line.TrimStart()).Where(static line => !line.StartsWith('#')))
        {
            // The deepest: what lies below another mount point is seen only once that is mounted.
            if (FieldOf(line, 1) is ['/', ..] point && Path.TrimEndingDirectorySeparator(point) is var folder && IsWithin(path, folder) &&
                !present.Contains(folder) && !(missing?.Length > folder.Length))
            {
                missing = folder;
            }
        }

        return missing;
    }

    private static bool IsWithin(string path, string folder) =>
        path.StartsWith(folder, StringComparison.Ordinal) && (path.Length == folder.Length || folder == "/" || path[folder.Length] == '/');

    private static string? FieldOf(string line, int index)
    {
        string[] fields = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > index ? Unescape(fields[index]) : null;
    }

    /// <summary>Both files write spaces, tabs, line ends and backslashes in octal, such as <c>\040</c>.</summary>
    private static string Unescape(string field)
    {
        for (int at = field.IndexOf('\\', StringComparison.Ordinal); at >= 0 && at + 3 < field.Length; at = field.IndexOf('\\', at + 1))
        {
            string digits = field.Substring(at + 1, 3);
            if (digits.All(static digit => digit is >= '0' and <= '7'))
            {
                char character = (char)digits.Aggregate(0, static (value, digit) => (value * 8) + int.Parse(digit.ToString(), CultureInfo.InvariantCulture));
                field = string.Concat(field.AsSpan(0, at), character.ToString(), field.AsSpan(at + 4));
            }
        }

        return field;
    }
}
