using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads a duration with its unit, such as <c>15m</c>, <c>00:15:00</c> or <c>PT15M</c>.</summary>
public sealed class SmcDurationAttribute : SmcArgumentTransformationAttribute
{
    /// <inheritdoc/>
    protected override object? Read(EngineIntrinsics engineIntrinsics, object input, string? typed)
    {
        // A bare 30 would be ticks as a number and days as a string to PowerShell's own conversion.
        TimeSpan duration = input is TimeSpan given
            ? given
            : DurationText.Parse((typed ?? Convert.ToString(input, CultureInfo.InvariantCulture) ?? "").Trim());
        return duration >= TimeSpan.Zero
            ? duration
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{duration}' is negative; give {DurationText.Expected}.",
                recommendation: $"Write {DurationText.Expected}.");
    }
}
