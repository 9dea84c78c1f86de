using System.ComponentModel;
using System.Management.Automation;

namespace SmcDr.PowerShell.Commands;

/// <content>
/// Hides what may only be called on the pipeline thread, where the code of a cmdlet never runs. PowerShell throws for
/// most of these at run time; for ShouldProcess only once an operator adds -WhatIf, which is too late to find out.
/// </content>
public abstract partial class SmcCmdlet
{
    private const string UsePipeline = "Not on this thread: use the SmcPipeline.";

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteObject(object sendToPipeline) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteObject(object sendToPipeline, bool enumerateCollection) =>
        throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteError(ErrorRecord errorRecord) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete("Throw an SmcException.", error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void ThrowTerminatingError(ErrorRecord errorRecord) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteVerbose(string text) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteWarning(string text) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteDebug(string text) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteProgress(ProgressRecord progressRecord) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new void WriteInformation(object messageData, string[] tags) =>
        throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new bool ShouldProcess(string target) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new bool ShouldProcess(string target, string action) => throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new bool ShouldProcess(string verboseDescription, string verboseWarning, string caption) =>
        throw new NotSupportedException(UsePipeline);

    /// <summary>Not to be used.</summary>
    [Obsolete(UsePipeline, error: true), EditorBrowsable(EditorBrowsableState.Never)]
    protected new bool ShouldContinue(string query, string caption) => throw new NotSupportedException(UsePipeline);
}
