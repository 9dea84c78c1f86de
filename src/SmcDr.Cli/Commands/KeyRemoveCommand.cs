using System.CommandLine;
using SmcDr.Core.Encryption;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr key remove</c>.</summary>
internal sealed class KeyRemoveCommand : KeyCommand
{
    private readonly Argument<string> _name = new("NAME") { Description = "The recipient, as 'smcdr key list' shows it." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public KeyRemoveCommand(CliHost host)
        : base(host, "remove", "Lets a recipient no longer open the repository.")
    {
        Arguments.Add(_name);
        Options.Add(_yes);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) => WithRepositoryAsync(
        context,
        async (store, opener) =>
        {
            string name = context.Parsed.GetRequiredValue(_name);
            if (!await context.ConfirmAsync(
                $"'{name}' will no longer open {store.Location}.", context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
            {
                await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
                return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
            }

            await RepositoryRecipients.RemoveAsync(store, opener, name, cancellationToken).ConfigureAwait(false);
            await context.Host.Error.WriteLineAsync(
                $"'{name}' is removed. Who has opened the repository before may have kept its key; 'smcdr key renew' makes a new one.").ConfigureAwait(false);
            return ExitCodes.Success;
        },
        cancellationToken);
}
