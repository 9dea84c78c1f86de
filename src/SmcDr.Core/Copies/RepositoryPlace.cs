using SmcDr.Core.Repositories;

namespace SmcDr.Core.Copies;

/// <summary>A place where a repository, or a copy of it, is expected.</summary>
/// <param name="Location">The location as a user would write it.</param>
/// <param name="OpenAsync">Opens what is there; it throws where that is no repository, or does not answer.</param>
public sealed record RepositoryPlace(string Location, Func<CancellationToken, Task<Repository>> OpenAsync);
