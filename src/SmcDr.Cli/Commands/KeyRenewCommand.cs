using System.CommandLine;
using SmcDr.Core.Encryption;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr key renew</c>.</summary>
internal sealed class KeyRenewCommand : KeyCommand
{
    private readonly Option<string[]> _with = new("--with")
    {
        Description = "Another recipient, besides the site's key: " + ReferenceHelp + " May be given several times.",
        HelpName = "KEY",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public KeyRenewCommand(CliHost host)
        : base(host, "renew", "Encrypts with a new key from now on, which the same recipients open.")
    {
        Options.Add(_with);
        Options.Add(_yes);
        Options.Add(GlobalOptions.Json);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) => WithRepositoryAsync(
        context,
        async (store, opener) =>
        {
            if (!await context.ConfirmAsync(
                $"What is written to {store.Location} from now on will need a new key.", context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
            {
                await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
                return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
            }

            List<RepositoryKeySource> others = [];
            try
            {
                foreach (string reference in context.Parsed.GetValue(_with) ?? [])
                {
                    others.Add(await ResolveAsync(context, reference, cancellationToken).ConfigureAwait(false));
                }

                string keyId = await RepositoryRecipients.RenewAsync(store, [opener, .. others], cancellationToken).ConfigureAwait(false);
                IReadOnlyList<RepositoryKeyInfo> keys = await RepositoryRecipients.ListAsync(store, opener, null, cancellationToken).ConfigureAwait(false);
                Write(context, [.. keys.Where(key => key.KeyId == keyId)]);
                return ExitCodes.Success;
            }
            finally
            {
                others.ForEach(static source => source.Dispose());
            }
        },
        cancellationToken);
}
