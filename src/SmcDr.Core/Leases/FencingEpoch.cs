using SmcDr.Core.Repositories;

namespace SmcDr.Core.Leases;

/// <summary>An epoch of a site: from its beginning on, until the next, one region alone may write the site's WAL.</summary>
public sealed record FencingEpoch
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    /// <summary>The site's name.</summary>
    public required string Site { get; init; }

    /// <summary>The number; the first is 1, and each follows the one before.</summary>
    public required long Number { get; init; }

    /// <summary>The region that may write.</summary>
    public required string Region { get; init; }

    /// <summary>When it was begun, by the clock of who began it, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Who began it: account and machine.</summary>
    public required string By { get; init; }

    /// <summary>Why; null where nothing was said.</summary>
    public string? Reason { get; init; }

    /// <summary>By which who began it knows his own after an answer that was lost.</summary>
    public required string Token { get; init; }

    /// <summary>For messages.</summary>
    public string Describe() =>
        $"epoch {Number} of region '{Region}', begun {DisplayText.Time(Time)} by {By}{(Reason is null ? "" : $": {Reason.TrimEnd('.')}")}";
}
