using System.CommandLine;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr unprotect backup</c>.</summary>
internal sealed class UnprotectBackupCommand : CliCommand
{
    private readonly Argument<string> _id = BackupArguments.NewId();
    private readonly Option<Component?> _component = BackupArguments.NewComponent();

    public UnprotectBackupCommand(CliHost host)
        : base(host, "backup", "Ends the holds on a backup. Locks end by themselves.")
    {
        Arguments.Add(_id);
        Options.Add(_component);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Repository repository = await context.LoadSite().OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        string id = context.Parsed.GetValue(_id)!;
        Component component = await repository
            .FindComponentAsync(id, context.Parsed.GetValue(_component), cancellationToken).ConfigureAwait(false);
        BackupProtections protections = new(repository);
        int released = await protections.ReleaseAsync(component, id, cancellationToken).ConfigureAwait(false);
        await context.Host.Error.WriteLineAsync(released == 0 ? $"The backup '{id}' was not held." : $"The backup '{id}' is not held any more.")
            .ConfigureAwait(false);
        ProtectionState state = await protections.GetAsync(component, id, cancellationToken).ConfigureAwait(false);
        if (state.LockedUntil is { } until && state.IsActive(DateTimeOffset.UtcNow))
        {
            await context.Host.Error.WriteLineAsync($"It is locked until {DisplayText.Time(until)}.").ConfigureAwait(false);
        }

        return ExitCodes.Success;
    }
}
