using SmcDr.Core.Leases;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>What a site says of its regions, together with what the repository knows of them since.</summary>
internal static class RegionSite
{
    /// <summary>The region that leads: that of the present epoch, and where there is none yet, the one that the site file calls primary.</summary>
    public static RegionSettings GetLeader(this Site site, FencingEpoch? epoch) =>
        epoch is not null && site.Regions.TryGetValue(epoch.Region, out RegionSettings? leader) ? leader : site.HomeRegion;

    /// <summary>The present epoch of the site.</summary>
    public static Task<FencingEpoch?> ReadEpochAsync(this Site site, Repository repository, CancellationToken cancellationToken) =>
        new FencingEpochs(repository, site.Name).ReadAsync(cancellationToken);

    /// <summary>The region that is meant to follow: the one that is named, or the only one that does not lead.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there are none or several, or the named one leads.</exception>
    public static RegionSettings GetFollower(this Site site, string? name, RegionSettings leader)
    {
        RegionSettings[] others = [.. site.Regions.Values.Where(region => region.Name != leader.Name)];
        RegionSettings? chosen = name is not null ? site.GetRegion(name) : others is [{ } only] ? only : null;
        return chosen is null
            ? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                others.Length == 0
                    ? $"The site '{site.Name}' has one region only."
                    : $"The site '{site.Name}' has several regions beside '{leader.Name}'.",
                recommendation: others.Length == 0
                    ? $"Add a region whose role is standby under 'regions' in '{site.Path}'."
                    : $"Name one by -Region (or --region): {string.Join(", ", others.Select(static region => region.Name))}.",
                target: site.Name)
            : chosen.Name != leader.Name
                ? chosen
                : throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"The region '{leader.Name}' leads the site '{site.Name}' already.",
                    recommendation: others.Length == 0 ? null : $"Name another one: {string.Join(", ", others.Select(static region => region.Name))}.",
                    target: leader.Name);
    }

    /// <summary>
    /// The region that a failover leads to: the one that is named, or the only one that is a standby in the site file. Not "the other one": the same command
    /// again, after it has led the site there, would lead it back.
    /// </summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there are none or several.</exception>
    public static RegionSettings GetRefuge(this Site site, string? name) => name is not null
        ? site.GetRegion(name)
        : site.GetFollower(null, site.HomeRegion);

    /// <summary>The slot by which a primary keeps WAL for a region's standby: never that of a stream, which is of the same server.</summary>
    public static string GetStandbySlot(this Site site, RegionSettings region)
    {
        static string Clean(string text) => string.Concat(text.Select(static c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '_'));
        return Sql.WithSuffix("smcdr_" + Clean(site.Name), "_" + Clean(region.Name)[..Math.Min(region.Name.Length, 24)]);
    }
}
