using System.Collections;
using SmcDr.Core.Notifications;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's channels of alerts.</summary>
public sealed class ChannelCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        (LoadSite(boundParameters) is { } site ? AlertSender.NamesOf(site) : []).Select(static channel => (channel, channel));
}
