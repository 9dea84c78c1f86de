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
        object? input = inputData is PSObject { BaseObject: not PSCustomObject } wrapped ? Unwrap(wrapped) : inputData;
        if (input is null)
        {
            return null;
        }

        try
        {
            return Read(engineIntrinsics, input);
        }
        catch (SmcException e)
        {
            throw new ArgumentTransformationMetadataException(e.Message, e);
        }
    }

    /// <summary>Reads the argument.</summary>
    protected abstract object? Read(EngineIntrinsics engineIntrinsics, object input);

    // PowerShell's parser takes an unquoted 90s for a 16-bit 90 and 1d for a decimal 1, and keeps what was typed as the
    // text of the object around the number.
    private static object Unwrap(PSObject wrapped) =>
        wrapped.BaseObject is ValueType and (sbyte or byte or short or ushort or int or uint or long or ulong or decimal or double)
            ? wrapped.ToString()
            : wrapped.BaseObject;
}
