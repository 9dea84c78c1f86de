using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr key list</c>.</summary>
internal sealed class KeyListCommand : KeyCommand
{
    public KeyListCommand(CliHost host)
        : base(host, "list", "Lists who can open the repository, and whether the site's key does.")
    {
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        using RepositoryKeySource? key = await site.ResolveKeyAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            Write(context, await RepositoryRecipients.ListAsync(
                store, key, problem => context.Host.Error.WriteLine($"Warning: {problem}"), cancellationToken).ConfigureAwait(false));
        }

        return ExitCodes.Success;
    }
}
