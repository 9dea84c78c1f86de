namespace SmcDr.Core.Leases;

/// <summary>On whose behalf something is written that only one region of a site may write.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Region">The region that it comes from.</param>
public sealed record FencingScope(string Site, string Region);
