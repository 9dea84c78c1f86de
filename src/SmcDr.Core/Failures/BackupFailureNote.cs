using SmcDr.Core.Repositories;

namespace SmcDr.Core.Failures;

/// <summary>A backup that failed, as it is stored.</summary>
internal sealed record BackupFailureNote
{
    public int Format { get; init; } = Repository.FormatVersion;

    /// <summary>Null where it is noted beside the repository, which could not be written to.</summary>
    public Guid? RepositoryId { get; init; }

    public required string Site { get; init; }

    /// <summary>Null where the command backs up several.</summary>
    public Component? Component { get; init; }

    /// <summary>When the command began, by the clock of its host, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>When it failed, by the same clock.</summary>
    public required DateTimeOffset Time { get; init; }

    public required string Command { get; init; }

    public required string Problem { get; init; }

    public required string Recommendation { get; init; }

    public required string ErrorId { get; init; }

    public required string User { get; init; }

    public required string Host { get; init; }
}
