using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of databases: those of the server, and those that logical backups hold.</summary>
public sealed class DatabaseCompleter : ListingCompleter
{
    /// <inheritdoc/>
    private protected override Task<IReadOnlyList<(string Value, string ToolTip)>> ListAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken) => site.ListNamesAsync(secrets, cancellationToken);
}
