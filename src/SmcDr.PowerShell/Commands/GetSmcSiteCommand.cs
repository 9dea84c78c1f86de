using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the sites that this session knows.</summary>
/// <remarks>
/// <para>
/// A session knows the sites that Set-SmcSite has chosen in it; the last of them is the current one. Their files are read anew, so
/// that what is shown is what the next command will use.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcSite | Where-Object IsCurrent</code>
/// Shows the site that commands work on which are not given one.
/// </example>
/// <example>
/// <code>Get-SmcSite | Test-SmcSite | Group-Object -Property Outcome -NoElement</code>
/// Checks all sites that the session knows, and counts what passed and what did not.
/// </example>
/// <example>
/// <code>Get-SmcSite orders-* | Backup-SmcDatabase -Label 'before the release'</code>
/// Backs up the databases of some of the sites, one after the other.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.SiteNotFound"/>: A name without wildcards was given that the session does not know.</exception>
/// <seealso cref="SetSmcSiteCommand"/>
/// <seealso cref="TestSmcSiteCommand"/>
/// <seealso href="about_SmcDr_Sites"/>
[Cmdlet(VerbsCommon.Get, "SmcSite")]
[OutputType(typeof(SiteInfo))]
public sealed class GetSmcSiteCommand : SmcCmdlet
{
    /// <summary>Only sites of these names; wildcards are allowed.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(SiteCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        IReadOnlyCollection<SiteInfo> known =
            await pipeline.InvokeAsync(static _ => SiteState.OfThisRunspace().Known).ConfigureAwait(false);
        foreach (string name in Name ?? ["*"])
        {
            WildcardPattern pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
            List<SiteInfo> found = [.. known.Where(site => pattern.IsMatch(site.Name))];
            foreach (SiteInfo site in found)
            {
                await WriteAsync(pipeline, site).ConfigureAwait(false);
            }

            if (found.Count == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
            {
                await pipeline.WriteErrorAsync(new SmcException(
                    SmcErrorCode.SiteNotFound,
                    $"This session knows no site '{name}'.",
                    recommendation: "Choose the site with Set-SmcSite, by the path of its file.",
                    target: name)).ConfigureAwait(false);
            }
        }
    }

    private static async Task WriteAsync(SmcPipeline pipeline, SiteInfo site)
    {
        SiteInfo fresh;
        try
        {
            fresh = SiteFile.Load(site.Path).ToInfo(site.IsCurrent);
        }
        catch (SmcException e)
        {
            await pipeline.WriteErrorAsync(e).ConfigureAwait(false);
            return;
        }

        await pipeline.WriteObjectAsync(fresh).ConfigureAwait(false);
    }
}
