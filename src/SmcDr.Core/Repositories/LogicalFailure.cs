namespace SmcDr.Core.Repositories;

/// <summary>Something that an emergency backup could not read.</summary>
/// <param name="Database">The database; <c>globals</c> for roles and tablespaces.</param>
/// <param name="Reason">Why.</param>
public sealed record LogicalFailure(string Database, string Reason);
