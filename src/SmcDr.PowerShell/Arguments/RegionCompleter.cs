using System.Collections;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's regions.</summary>
public sealed class RegionCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        SiteFile.Load(LocateSite(boundParameters["Site"])).Regions.Values.Select(static region => (region.Name, region.Role.ToString()));
}
