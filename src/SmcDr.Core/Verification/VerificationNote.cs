using SmcDr.Core.Repositories;

namespace SmcDr.Core.Verification;

/// <summary>The packs that a deep verification has read and found right.</summary>
internal sealed record VerificationNote
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required IReadOnlyList<VerifiedPacks> Packs { get; init; }
}

/// <summary>Packs of a backup.</summary>
internal sealed record VerifiedPacks(Component Component, PackUse Packs);
