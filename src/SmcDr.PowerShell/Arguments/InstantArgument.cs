using System.Globalization;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads instants that mean the same on every machine, from what PowerShell has for times.</summary>
internal static class InstantArgument
{
    /// <summary>The instant, in UTC.</summary>
    /// <exception cref="SmcException">It is no instant, or one that depends on the time zone of this machine.</exception>
    public static DateTimeOffset Parse(object input) =>
        input switch
        {
            DateTimeOffset instant => instant.ToUniversalTime(),

            // Local is exact where it comes from Get-Date or ConvertFrom-Json, which turns an offset into local time.
            DateTime { Kind: not DateTimeKind.Unspecified } time => new DateTimeOffset(time).ToUniversalTime(),
            DateTime time => InstantText.Parse(time.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture)),
            _ => InstantText.Parse(Convert.ToString(input, CultureInfo.InvariantCulture) ?? ""),
        };
}
