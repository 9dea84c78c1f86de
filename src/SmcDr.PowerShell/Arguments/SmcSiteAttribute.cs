using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Session;
using DriveNotFoundException = System.Management.Automation.DriveNotFoundException;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads a site, given as a <see cref="SiteInfo"/>, by name or by path, and gives the path of its file.</summary>
/// <remarks>
/// A string for a type lets Pester mock the cmdlets, and the file is read anew by each of them. Whether the file is
/// there is for the engine to say, whose error has an id and a recommendation.
/// </remarks>
public sealed class SmcSiteAttribute : SmcArgumentTransformationAttribute
{
    /// <inheritdoc/>
    protected override object? Read(EngineIntrinsics engineIntrinsics, object input, string? typed)
    {
        ArgumentNullException.ThrowIfNull(engineIntrinsics);
        switch (input)
        {
            case SiteInfo site:
                return site.Path;
            case FileInfo file:
                return file.FullName;
            case string text:
                return SiteState.OfThisRunspace().Find(text)?.Path ?? Resolve(engineIntrinsics.SessionState, text);
            default:
                throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"'{Convert.ToString(input, CultureInfo.InvariantCulture)}' is not a site. Give a site's name, the " +
                    "path of a site file, or what Get-SmcSite returns.");
        }
    }

    private static string Resolve(SessionState session, string text)
    {
        string path;
        try
        {
            path = session.Path.GetUnresolvedProviderPathFromPSPath(text, out ProviderInfo provider, out _);
            if (provider.Name != "FileSystem")
            {
                throw new SmcException(
                    SmcErrorCode.ArgumentInvalid, $"The site file '{text}' is not in a file system.", target: text);
            }
        }
        catch (Exception e) when (e is ItemNotFoundException or DriveNotFoundException or ProviderNotFoundException)
        {
            throw new SmcException(
                SmcErrorCode.SiteNotFound, $"The path of the site file '{text}' does not exist.", e, target: text);
        }

        return Directory.Exists(path) ? Path.Combine(path, SiteFile.DefaultName) : path;
    }
}
