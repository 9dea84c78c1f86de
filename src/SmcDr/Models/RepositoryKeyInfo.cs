namespace SmcDr;

/// <summary>A recipient of a repository's key, as <c>Get-SmcRepositoryKey</c> lists it: what one key file, passphrase or KMS key can open.</summary>
public sealed record RepositoryKeyInfo
{
    /// <summary>The recipient's name.</summary>
    public required string Name { get; init; }

    /// <summary><c>KeyFile</c>, <c>Passphrase</c> or <c>AwsKms</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The id of the repository key that is wrapped for it. A renewed repository has several.</summary>
    public required string KeyId { get; init; }

    /// <summary>Whether new objects are encrypted with this key; null where that cannot be told without opening the repository.</summary>
    public bool? Current { get; init; }

    /// <summary>Whether the key that was given, or that of the site, opens this envelope; null where none was given.</summary>
    public bool? Opens { get; init; }

    /// <summary>Which key file, as New-SmcRepositoryKey told it, or the ARN of the KMS key; null for passphrases.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>When the recipient was added, in UTC.</summary>
    public required DateTimeOffset CreatedTime { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
