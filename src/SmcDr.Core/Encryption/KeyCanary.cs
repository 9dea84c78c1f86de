namespace SmcDr.Core.Encryption;

/// <summary>The content of a key's canary, which is encrypted with that key: what proves that a key is right, and where it comes from.</summary>
internal sealed record KeyCanary
{
    public int Format { get; init; } = 1;

    public required Guid RepositoryId { get; init; }

    public required string KeyId { get; init; }

    public required DateTimeOffset CreatedTime { get; init; }

    /// <summary>The key that this one follows; null for the first.</summary>
    public string? PreviousKeyId { get; init; }

    /// <summary>Made with the previous key, so that nobody can slip in a key of his own.</summary>
    public byte[]? Endorsement { get; init; }
}
