namespace SmcDr.Core.Repositories;

/// <summary>The document that makes a location a repository.</summary>
/// <param name="Format">The format that this and everything below it is written in.</param>
/// <param name="Id">The repository's identity, which every manifest repeats.</param>
/// <param name="CreatedTime">When it was created.</param>
/// <param name="Tool">The version of SmcDr that created it.</param>
internal sealed record RepositoryRoot(int Format, Guid Id, DateTimeOffset CreatedTime, string Tool);
