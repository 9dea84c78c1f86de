using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads a size: a number of bytes, as PowerShell's own <c>64MB</c> is one, or a text with its unit such as <c>64MiB</c>.</summary>
public sealed class SmcSizeAttribute : SmcArgumentTransformationAttribute
{
    /// <inheritdoc/>
    protected override object? Read(EngineIntrinsics engineIntrinsics, object input, string? typed)
    {
        if (input is string text)
        {
            return SizeText.Parse(text.Trim());
        }

        // The number and not what was typed: to PowerShell 64MB is a number, 64 times 1024 times 1024, wherever it stands.
        return LanguagePrimitives.TryConvertTo(input, CultureInfo.InvariantCulture, out long bytes) && bytes >= 0
            ? bytes
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{Convert.ToString(input, CultureInfo.InvariantCulture)}' is not a size.",
                recommendation: $"Give a number of bytes, or {SizeText.Expected}.");
    }
}
