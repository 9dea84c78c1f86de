using System.Collections;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's writers.</summary>
public sealed class WriterCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        (LoadSite(boundParameters)?.Writers ?? []).Select(static writer => (writer, writer));
}
