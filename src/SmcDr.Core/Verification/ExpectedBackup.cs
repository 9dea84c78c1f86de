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
    /// <summary>Of a configuration, the namespace that must be in the backup; null = whichever.</summary>
    public string? Namespace { get; init; }

    /// <summary>
    /// Whether a backup of the component is one of what is expected. One of a configuration without Secrets is not: the system does not come back from it.
    /// </summary>
    internal bool Includes(BackupHeader header) =>
        (Subject is null || BackupRetention.SubjectOf(header) == Subject) && header.MayBeOf(Site) &&
        (header.Configuration is not { } configuration ||
            (!configuration.WithoutSecrets && (Namespace is null || configuration.Namespaces.Contains(Namespace))));
}
