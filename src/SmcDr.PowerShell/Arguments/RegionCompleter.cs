using System.Collections;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's regions.</summary>
public sealed class RegionCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        (LoadSite(boundParameters)?.Regions.Values ?? []).Select(
            static region => (region.Name, $"{region.Role}{(region.Endpoint is { } endpoint ? $", {endpoint}" : "")}"));
}
