using System.Collections;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the sites that the runspace knows. Where none fits, PowerShell completes file names.</summary>
public sealed class SiteCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        SiteState.OfThisRunspace().Known.Select(static site => (site.Name, site.Path));
}
