using SmcDr.Core.Repositories;

namespace SmcDr.Core.Encryption;

/// <summary>
/// The note that an envelope was removed on purpose, which is encrypted like all else. By it the removal reaches the copies: an envelope
/// that is merely missing stays there, where it may be the last one.
/// </summary>
internal sealed record KeyRemoval
{
    public int Format { get; init; } = 1;

    public required Guid RepositoryId { get; init; }

    public required string KeyId { get; init; }

    /// <summary>The recipient.</summary>
    public required string Name { get; init; }

    /// <summary>The digest of the envelope as it was stored: another one of the same name, added later, is not meant.</summary>
    public required Hash256 Envelope { get; init; }

    public required DateTimeOffset RemovedTime { get; init; }
}
