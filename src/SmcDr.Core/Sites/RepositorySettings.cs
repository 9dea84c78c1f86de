namespace SmcDr.Core.Sites;

/// <summary>Where backups are kept.</summary>
public sealed record RepositorySettings : ISiteRules
{
    [SiteKey("The repository's location: s3://bucket/prefix?region=…, file:///path, or a path.", Kind = SiteValueKind.Location)]
    public required string Location { get; init; }

    [SiteKey("Locations of further repositories that every backup is copied to.", Kind = SiteValueKind.Location)]
    public IReadOnlyList<string> Copies { get; init; } = [];

    [SiteKey("What opens the encrypted repository: a key file, a passphrase, or a KMS key as awskms:ARN; without it nothing is encrypted.")]
    public KeyReference? EncryptionKey { get; init; }

    [SiteKey("How often a base backup of the database is a full one; those between build on the one before them.")]
    public TimeSpan FullEvery { get; init; } = TimeSpan.FromDays(7);

    [SiteKey("How long backups are kept; without it all are.")]
    public RetentionSettings? Retention { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        HashSet<string> seen = [Location];
        foreach (string copy in Copies.Where(copy => !seen.Add(copy)))
        {
            yield return ("copies", $"names '{copy}' twice, or the repository itself");
        }
    }
}
