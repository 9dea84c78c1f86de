namespace SmcDr.Core.Encryption;

/// <summary>A key envelope: a repository key, wrapped so that one recipient can open it. Docs/repository-format.md has its fields.</summary>
internal sealed record Recipient
{
    public int Format { get; init; } = 1;

    public required Guid RepositoryId { get; init; }

    public required string KeyId { get; init; }

    public required string Name { get; init; }

    public required RecipientKind Kind { get; init; }

    public required DateTimeOffset CreatedTime { get; init; }

    /// <summary>Which key file, or which KMS key: for people, and to try the right ones first.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>The salt of the derivation of the wrapping key.</summary>
    public byte[]? Salt { get; init; }

    /// <summary>The iterations of PBKDF2-HMAC-SHA512; for passphrases.</summary>
    public int? Iterations { get; init; }

    /// <summary>The wrapped key: nonce, ciphertext and tag, or what KMS has made of it.</summary>
    public byte[] WrappedKey { get; init; } = [];
}
