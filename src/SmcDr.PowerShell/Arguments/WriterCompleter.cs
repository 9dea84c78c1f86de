using System.Collections;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's writers.</summary>
public sealed class WriterCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        SiteFile.Load(LocateSite(boundParameters["Site"])).Writers.Select(static writer => (writer, writer));
}
