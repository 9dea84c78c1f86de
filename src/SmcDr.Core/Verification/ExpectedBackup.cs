using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;

namespace SmcDr.Core.Verification;

/// <summary>Something of which there must be a backup that is not too old.</summary>
/// <param name="Component">
/// The component. Of a database, physical backups count alone: a dump of the night before must not hide that nothing can be recovered to
/// the last minute any more.
/// </param>
/// <param name="Subject">The name of a file store; null for whatever the component has.</param>
/// <param name="Site">The site; null = whichever. Several sites may share a repository, and call a file store the same.</param>
public sealed record ExpectedBackup(Component Component, string? Subject, string? Site = null)
{
    /// <summary>Whether a backup of the component is one of what is expected.</summary>
    internal bool Includes(BackupHeader header) =>
        (Subject is null || BackupRetention.SubjectOf(header) == Subject) && header.MayBeOf(Site);
}
