namespace SmcDr.Core.Sites;

/// <summary>What must hold for the system to be well.</summary>
public sealed record CheckSettings
{
    [SiteKey("URLs that must answer with a success.", Kind = SiteValueKind.Url)]
    public IReadOnlyList<string> Http { get; init; } = [];

    [SiteKey("Queries whose first value must be as expected.")]
    public IReadOnlyList<SqlCheck> Sql { get; init; } = [];
}
