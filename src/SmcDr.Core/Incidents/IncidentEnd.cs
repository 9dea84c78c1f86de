using SmcDr.Core.Repositories;

namespace SmcDr.Core.Incidents;

/// <summary>What an incident came to. There is one for each, since only one can be written.</summary>
internal sealed record IncidentEnd
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required string IncidentId { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required string User { get; init; }

    public required string Host { get; init; }

    public required string Summary { get; init; }

    public string? RootCause { get; init; }
}
