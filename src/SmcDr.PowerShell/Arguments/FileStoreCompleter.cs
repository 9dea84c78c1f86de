using System.Collections;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's file stores.</summary>
public sealed class FileStoreCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        (LoadSite(boundParameters)?.FileStores ?? []).Select(static store => (store.Name, store.Path));
}
