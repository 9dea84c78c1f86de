namespace SmcDr.Core.Repositories;

/// <summary>The claim with which a backup begins: it says who is at it, and takes the id.</summary>
public sealed record BackupStart
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required string Id { get; init; }

    public required Guid RepositoryId { get; init; }

    public required Component Component { get; init; }

    public required string Kind { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    public string? Label { get; init; }

    public string? Site { get; init; }

    public string? SystemId { get; init; }

    /// <summary>The backup whose packs this one may refer to.</summary>
    public string? Parent { get; init; }

    /// <summary>The machine that writes it.</summary>
    public required string Host { get; init; }

    public required int ProcessId { get; init; }
}
