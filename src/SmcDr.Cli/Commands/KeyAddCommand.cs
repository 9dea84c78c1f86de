using System.CommandLine;
using SmcDr.Core.Encryption;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr key add</c>.</summary>
internal sealed class KeyAddCommand : KeyCommand
{
    private readonly Argument<string?> _reference = new("KEY")
    {
        Description = ReferenceHelp + " Without it, a passphrase is asked for.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string?> _name = new("--name") { Description = "The recipient's name. Default: one by its kind.", HelpName = "NAME" };

    public KeyAddCommand(CliHost host)
        : base(host, "add", "Lets another key open the repository.")
    {
        Arguments.Add(_reference);
        Options.Add(_name);
        Options.Add(GlobalOptions.Json);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) => WithRepositoryAsync(
        context,
        async (store, opener) =>
        {
            using RepositoryKeySource added = context.Parsed.GetValue(_reference) is { } reference
                ? await ResolveAsync(context, reference, cancellationToken).ConfigureAwait(false)
                : AskForPassphrase(context);
            string name = await RepositoryRecipients.AddAsync(
                store, opener, added, context.Parsed.GetValue(_name), cancellationToken).ConfigureAwait(false);
            IReadOnlyList<RepositoryKeyInfo> keys = await RepositoryRecipients.ListAsync(store, opener, null, cancellationToken).ConfigureAwait(false);
            Write(context, [.. keys.Where(key => key.Name == name)]);
            return ExitCodes.Success;
        },
        cancellationToken);

    private static RepositoryKeySource AskForPassphrase(CliContext context)
    {
        if (context.Host.ReadSecret is not { } read)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A passphrase is to be asked for, and nobody is there to give one.",
                recommendation: $"Give the key as {ReferenceHelp}");
        }

        string passphrase = read("Passphrase: ");
        return passphrase == read("Once more: ")
            ? RepositoryKeySource.FromPassphrase(passphrase)
            : throw new SmcException(SmcErrorCode.KeyInvalid, "The two passphrases differ.", recommendation: "Run the command again.");
    }
}
