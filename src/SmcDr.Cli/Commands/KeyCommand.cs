using SmcDr.Cli.Output;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary>What the commands on the keys of a repository have in common.</summary>
internal abstract class KeyCommand(CliHost host, string name, string description) : CliCommand(host, name, description)
{
    /// <summary>How keys are named on a command line: never by themselves.</summary>
    protected const string ReferenceHelp = "file:PATH or env:NAME with a key file's text or a passphrase in it, or awskms:ARN.";

    private static readonly Column<RepositoryKeyInfo>[] s_columns =
    [
        new("Name", static key => key.Name),
        new("Kind", static key => key.Kind),
        new("Key", static key => key.KeyId),
        new("Current", static key => Word(key.Current)),
        new("Opens", static key => Word(key.Opens)),
        new("Since", static key => DisplayText.Time(key.CreatedTime)),
        new("Fingerprint", static key => key.Fingerprint),
    ];

    /// <summary>Runs work on the repository of the site, with the site's own key.</summary>
    protected static async Task<T> WithRepositoryAsync<T>(
        CliContext context, Func<IObjectStore, RepositoryKeySource, Task<T>> work, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        using RepositoryKeySource key = await site.ResolveKeyAsync(context.Secrets, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(
                SmcErrorCode.KeyMissing, $"The site '{site.Name}' names no key: there is no repository.encryptionKey in '{site.Path}'.", target: site.Path);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            return await work(store, key).ConfigureAwait(false);
        }
    }

    /// <summary>What a reference on the command line leads to.</summary>
    protected static async Task<RepositoryKeySource> ResolveAsync(CliContext context, string reference, CancellationToken cancellationToken) =>
        await KeyReference.Parse(reference, context.Host.CurrentDirectory).ResolveAsync(context.Secrets, cancellationToken).ConfigureAwait(false);

    protected static void Write(CliContext context, IReadOnlyList<RepositoryKeyInfo> keys) =>
        context.WriteList(keys, s_columns, "There are no recipients.");

    private static string Word(bool? value) => value switch
    {
        true => "yes",
        false => "no",
        null => "",
    };
}
