using System.Management.Automation;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads an <see cref="Instant"/>: with <c>Z</c> or an offset, or relative to now such as <c>-10m</c>; nothing else.</summary>
/// <remarks>
/// PowerShell's own conversion takes a time without a zone for this machine's and 05/11 for the eleventh of May, so that
/// a laptop and a runbook in UTC would recover to different instants from the same text.
/// </remarks>
public sealed class SmcInstantAttribute : SmcArgumentTransformationAttribute
{
    /// <inheritdoc/>
    protected override object? Read(EngineIntrinsics engineIntrinsics, object input, string? typed)
    {
        if (input is Instant instant)
        {
            return instant;
        }

        try
        {
            return new Instant(InstantArgument.Parse(typed ?? input));
        }
        catch (SmcException e)
        {
            return new Instant(e);
        }
    }
}
