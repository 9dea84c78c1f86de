namespace SmcDr.Core.Repositories;

/// <summary>A setting of a database.</summary>
/// <param name="Role">The role that it holds for; null = all.</param>
/// <param name="Name">The parameter.</param>
/// <param name="Value">Its value.</param>
public sealed record LogicalDatabaseSetting(string? Role, string Name, string Value);
