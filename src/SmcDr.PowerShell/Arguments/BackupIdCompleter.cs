using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the ids of the backups in the site's repository, newest first.</summary>
public sealed class BackupIdCompleter : ListingCompleter
{
    /// <inheritdoc/>
    private protected override async Task<IReadOnlyList<(string Value, string ToolTip)>> ListAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        List<BackupInfo> backups = [];
        foreach (Component component in Enum.GetValues<Component>())
        {
            await foreach (BackupEntry entry in repository.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
            {
                backups.Add(entry.ToInfo(repository.Location));
            }
        }

        return [.. backups.OrderByDescending(static backup => backup.StartTime).Select(static backup => (backup.Id, Describe(backup)))];
    }

    private static string Describe(BackupInfo backup)
    {
        string size = backup.SizeBytes is { } bytes ? $", {DisplayText.Size(bytes)}" : "";
        string label = backup.Label is { Length: > 0 } text ? $", {text}" : "";
        return $"{backup.Component}, {backup.Kind}, {backup.State}, {Age(backup.StartTime)}{size}{label}";
    }
}
