using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads sizes. Units count in 1024s, with or without the <c>i</c>, as PowerShell's own <c>1GB</c> does.</summary>
internal static partial class SizeArgument
{
    private const string Forms = "1048576, 512KB, 64MiB, 1.5g or 2 TiB; every unit counts in 1024s";

    /// <summary>The size in bytes.</summary>
    /// <exception cref="SmcException">It is no size, or is negative or too large.</exception>
    public static long Parse(object input)
    {
        string text = Convert.ToString(input, CultureInfo.InvariantCulture) ?? "";
        Match match = Pattern().Match(text.Trim());
        if (match.Success)
        {
            int power = match.Groups["unit"].Value.ToUpperInvariant() switch
            {
                "K" => 1,
                "M" => 2,
                "G" => 3,
                "T" => 4,
                "P" => 5,
                _ => 0,
            };
            decimal factor = 1L << (10 * power);
            decimal number = decimal.Parse(
                match.Groups["number"].Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
            if (number <= long.MaxValue / factor)
            {
                return (long)(number * factor);
            }
        }

        throw new SmcException(SmcErrorCode.ArgumentInvalid, $"'{text}' is not a size. Accepted are {Forms}.");
    }

    [GeneratedRegex(
        @"^(?<number>\d{1,19}(\.\d{1,6})?)\s*((?<unit>[KMGTP])(i?B)?|B)?$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Pattern();
}
