using System.Management.Automation;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads a duration with its unit, such as <c>15m</c>, <c>00:15:00</c> or <c>PT15M</c>.</summary>
public sealed class SmcDurationAttribute : SmcArgumentTransformationAttribute
{
    /// <inheritdoc/>
    protected override object? Read(EngineIntrinsics engineIntrinsics, object input) => DurationArgument.Parse(input);
}
