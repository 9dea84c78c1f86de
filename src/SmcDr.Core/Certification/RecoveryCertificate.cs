using SmcDr.Core.Repositories;

namespace SmcDr.Core.Certification;

/// <summary>A test of recovery as the repository keeps it.</summary>
internal sealed record RecoveryCertificate
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required RecoveryTestResult Result { get; init; }
}
