using System.Management.Automation;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads a size in bytes, such as <c>64MiB</c> or PowerShell's own <c>64MB</c>.</summary>
public sealed class SmcSizeAttribute : SmcArgumentTransformationAttribute
{
    /// <inheritdoc/>
    protected override object? Read(EngineIntrinsics engineIntrinsics, object input) => SizeArgument.Parse(input);
}
