using System.Globalization;
using System.Text;

namespace SmcDr.Core.Kubernetes;

/// <summary>Texts of servers and programs as they may stand in messages.</summary>
internal static class KubeText
{
    private const int MaximumText = 600;

    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>One line of bounded length without control characters or a full stop at its end.</summary>
    public static string Clean(string? text, int maximum = MaximumText)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return "";
        }

        StringBuilder clean = new(Math.Min(text.Length, maximum));
        foreach (char c in text.Trim())
        {
            if (clean.Length == maximum)
            {
                clean.Append('…');
                break;
            }

            if (!char.IsControl(c))
            {
                clean.Append(c);
            }
            else if (clean.Length > 0 && clean[^1] != ' ')
            {
                clean.Append(' ');
            }
        }

        return clean.ToString().TrimEnd(' ', '.');
    }
}
