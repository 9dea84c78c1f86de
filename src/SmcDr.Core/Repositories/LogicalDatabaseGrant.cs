namespace SmcDr.Core.Repositories;

/// <summary>A privilege on a database.</summary>
/// <param name="Role">Who has it; null = everybody.</param>
/// <param name="Privilege"><c>CONNECT</c>, <c>CREATE</c> or <c>TEMPORARY</c>.</param>
/// <param name="CanGrant">Whether the role may pass it on.</param>
public sealed record LogicalDatabaseGrant(string? Role, string Privilege, bool CanGrant);
