namespace SmcDr.Core.Verification;

/// <summary>Something of which there must be a backup that is not too old.</summary>
/// <param name="Component">
/// The component. Of a database, physical backups count alone: a dump of the night before must not hide that nothing can be recovered to
/// the last minute any more.
/// </param>
/// <param name="Subject">The name of a file store; null for whatever the component has.</param>
public sealed record ExpectedBackup(Component Component, string? Subject);
