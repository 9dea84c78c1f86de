using System.Management.Automation;
using SmcDr.PowerShell.Bridge;
using DriveNotFoundException = System.Management.Automation.DriveNotFoundException;

namespace SmcDr.PowerShell.Session;

/// <summary>Paths as PowerShell has them: below the session's location, not the process's, and on its drives.</summary>
internal static class FilePaths
{
    /// <summary>The full path in the file system, whether anything is there or not.</summary>
    public static Task<string> ResolveAsync(SmcPipeline pipeline, string path) => pipeline.InvokeAsync(cmdlet =>
    {
        try
        {
            string full = cmdlet.SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out ProviderInfo provider, out _);
            return provider.Name == "FileSystem"
                ? full
                : throw new SmcException(SmcErrorCode.ArgumentInvalid, $"'{path}' is not in a file system.", target: path);
        }
        catch (Exception e) when (e is ItemNotFoundException or DriveNotFoundException or ProviderNotFoundException)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, $"The path '{path}' cannot be: {e.Message}", e, target: path);
        }
    });
}
