using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the names of who can open the site's repository. They stand there in clear, so no key is needed.</summary>
public sealed class RepositoryKeyCompleter : ListingCompleter
{
    /// <inheritdoc/>
    private protected override async Task<IReadOnlyList<(string Value, string ToolTip)>> ListAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            return
            [
                .. (await RepositoryRecipients.ListAsync(store, null, null, cancellationToken).ConfigureAwait(false))
                    .DistinctBy(static key => key.Name)
                    .Select(static key => (key.Name, $"{key.Kind}, made {DisplayText.Time(key.CreatedTime)}")),
            ];
        }
    }
}
