using System.Text.RegularExpressions;

namespace SmcDr.Core.Redis.Offline;

/// <summary>What of a server's log may stand in a message.</summary>
internal static partial class RedisLog
{
    /// <summary>The last lines of a server's log in a text, and nothing else of it: that could be any by now.</summary>
    public static string[] LastLines(string text)
    {
        const int Most = 4;
        return [.. text.Split('\n').Where(static line => LogLine().IsMatch(line)).TakeLast(Most).Select(static line => line.Trim())];
    }

    // "1234:M 29 Nov 2026 05:10:00.000 # Fatal error …"
    [GeneratedRegex(@"\A[0-9]+:[A-Z] [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:.]+ [-.*#] ", RegexOptions.CultureInvariant)]
    private static partial Regex LogLine();
}
