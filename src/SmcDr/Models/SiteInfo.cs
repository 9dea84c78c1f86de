namespace SmcDr;

/// <summary>A site as <c>Get-SmcSite</c> shows it.</summary>
public sealed record SiteInfo
{
    /// <summary>The site's name.</summary>
    public required string Name { get; init; }

    /// <summary>The site file.</summary>
    public required string Path { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }

    /// <summary>The region that is primary.</summary>
    public string? PrimaryRegion { get; init; }

    /// <summary>The names of all regions.</summary>
    public required IReadOnlyList<string> Regions { get; init => field = ResultList.Of(value); }

    /// <summary>The objective for time to recover the database.</summary>
    public TimeSpan? DatabaseRto { get; init; }

    /// <summary>The objective for data loss of the database.</summary>
    public TimeSpan? DatabaseRpo { get; init; }

    /// <summary>Whether this is the session's current site.</summary>
    public bool IsCurrent { get; init; }
}
