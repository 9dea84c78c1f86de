namespace SmcDr.Core.Sites;

/// <summary>The objectives of each component.</summary>
public sealed record ObjectivesSettings
{
    [SiteKey("The objectives of the PostgreSQL database.")]
    public ObjectiveSettings? Database { get; init; }

    [SiteKey("The objectives of Redis.")]
    public ObjectiveSettings? Redis { get; init; }

    [SiteKey("The objectives of the Kubernetes configuration.")]
    public ObjectiveSettings? Configuration { get; init; }

    [SiteKey("The objectives of the file stores.")]
    public ObjectiveSettings? FileStore { get; init; }
}
