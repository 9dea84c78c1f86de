using SmcDr.Core.Recovery;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Regions.Failback;

/// <summary>What the steps of a failback work with.</summary>
internal sealed class FailbackWork(SitePlanContext context, RegionFailbackIntent intent)
{
    public SitePlanContext Context => context;

    public Site Site => context.Site;

    public RegionFailbackIntent Intent => intent;

    /// <summary>The switchover at the end: its old region is the one that leads now, and its new one the one that led before.</summary>
    public FailoverWork Switch { get; } = new(context, intent.Switch);

    public RegionSettings Leader => Switch.From;

    public RegionSettings Former => Switch.To;

    /// <summary>The data directory of the former primary on this host.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RegionUnsuitable"/>: it is on another one.</exception>
    public string Directory => Switch.NewDirectory ?? throw new SmcException(
        SmcErrorCode.RegionUnsuitable,
        Former.Database!.Workload is { } workload
            ? $"The database of the region '{Former.Name}' runs in '{workload}'; a former primary is made a standby on its own host only."
            : $"The data directory of the former primary, '{Former.Database.DataDirectory}', is not on this host.",
        recommendation: $"Run the command on the host of '{Former.Name}', with 'dataDirectory' in the region's database in '{Site.Path}'. Where the " +
            "directory is gone, make a standby from nothing first: Initialize-SmcRegionReplica (or 'smcdr region init').",
        target: Former.Name);

    /// <summary>The server in <see cref="Directory"/>.</summary>
    /// <inheritdoc cref="Directory" path="/exception"/>
    public Task<HostServer> OpenServerAsync(CancellationToken cancellationToken) => FailoverWork.OpenServerAsync(Former, Directory, cancellationToken);

    /// <summary>How the former primary is now, and whether it follows the one that leads.</summary>
    public async Task<(DatabaseSighting There, bool Follows)> LookAsync(CancellationToken cancellationToken)
    {
        DatabaseSighting there = await Switch.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        return (there, there is { IsReachable: true, IsStandby: true, IsStreaming: true } && there.Timeline == intent.Switch.Timeline &&
            FormattableString.Invariant($"{there.SystemId}") == intent.Switch.SystemId);
    }

    /// <summary>A directory beside the data directory that is kept for an operator.</summary>
    public string NewKeptDirectory() => FormattableString.Invariant($"{Directory}.lost-{DateTimeOffset.UtcNow:yyyyMMdd'T'HHmmss'Z'}");
}
