using System.Collections;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's file stores.</summary>
public sealed class FileStoreCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        SiteFile.Load(LocateSite(boundParameters["Site"])).FileStores.Select(static store => (store.Name, store.Path));
}
