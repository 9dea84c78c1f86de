using System.Collections;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of the site's channels of alerts.</summary>
public sealed class ChannelCompleter : SmcCompleter
{
    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters) =>
        AlertSender.NamesOf(SiteFile.Load(LocateSite(boundParameters["Site"]))).Select(static channel => (channel, channel));
}
