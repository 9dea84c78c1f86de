using System.Management.Automation;

namespace SmcDr.PowerShell.Arguments;

/// <summary>The base of the transformations that read an argument instead of PowerShell's own conversion.</summary>
/// <remarks>
/// PowerShell reports what is thrown here with the id <c>ParameterArgumentTransformationError</c>; the
/// <see cref="SmcException"/> with the exact id is among the inner exceptions.
/// </remarks>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
public abstract class SmcArgumentTransformationAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public sealed override object? Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        PSObject? wrapped = inputData as PSObject;
        object? input = wrapped is { BaseObject: not PSCustomObject } ? wrapped.BaseObject : inputData;
        if (input is null)
        {
            return null;
        }

        try
        {
            return Read(engineIntrinsics, input, wrapped is not null && IsNumber(input) ? wrapped.ToString() : null);
        }
        catch (SmcException e)
        {
            throw new ArgumentTransformationMetadataException(e.Message, e);
        }
    }

    /// <summary>Reads the argument.</summary>
    /// <param name="engineIntrinsics">The session.</param>
    /// <param name="input">The argument.</param>
    /// <param name="typed">
    /// What was typed, where the argument is a number: PowerShell's parser takes an unquoted <c>90s</c> for a 16-bit 90 and
    /// <c>1d</c> for a decimal 1, and keeps the text with the object around the number.
    /// </param>
    protected abstract object? Read(EngineIntrinsics engineIntrinsics, object input, string? typed);

    private static bool IsNumber(object input) =>
        input is sbyte or byte or short or ushort or int or uint or long or ulong or decimal or double;
}
