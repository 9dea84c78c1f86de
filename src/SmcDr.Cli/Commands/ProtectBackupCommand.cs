using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr protect backup</c>.</summary>
internal sealed class ProtectBackupCommand : CliCommand
{
    private readonly Argument<string> _id = BackupArguments.NewId();
    private readonly Option<Component?> _component = BackupArguments.NewComponent();
    private readonly Option<string?> _hold = new("--hold") { Description = "Hold it, for this reason, until 'unprotect'.", HelpName = "REASON" };
    private readonly Option<string?> _until = new("--until") { Description = "Lock it until this instant, with Z or an offset.", HelpName = "TIME" };
    private readonly Option<TimeSpan?> _for = BackupArguments.NewDuration("--for", "Lock it for so long from now on.");
    private readonly Option<bool> _compliance = new("--compliance") { Description = "Lock it so that nobody at all can end that before." };

    public ProtectBackupCommand(CliHost host)
        : base(host, "backup", "Protects a backup from being removed, by a hold or by a lock.")
    {
        Arguments.Add(_id);
        Options.Add(_component);
        Options.Add(_hold);
        Options.Add(_until);
        Options.Add(_for);
        Options.Add(_compliance);
        Options.Add(GlobalOptions.Json);
        Validators.Add(result =>
        {
            int given = new Option[] { _hold, _until, _for }.Count(option => result.GetResult(option) is not null);
            if (given != 1)
            {
                result.AddError("Give one of --hold, --until and --for.");
            }
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        DateTimeOffset? until = context.Parsed.GetValue(_until) is { } time ? InstantText.Parse(time)
            : context.Parsed.GetValue(_for) is { } duration ? DateTimeOffset.UtcNow + duration
            : null;
        Repository repository = await context.LoadSite().OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        string id = context.Parsed.GetValue(_id)!;
        Component component = await repository
            .FindComponentAsync(id, context.Parsed.GetValue(_component), cancellationToken).ConfigureAwait(false);
        BackupProtections protections = new(repository);
        BackupProtection protection = until is { } end
            ? await context.ObserveAsync(observer => protections.LockAsync(
                component,
                id,
                end,
                context.Parsed.GetValue(_compliance) ? ObjectLockMode.Compliance : ObjectLockMode.Governance,
                observer,
                cancellationToken)).ConfigureAwait(false)
            : await protections.HoldAsync(component, id, context.Parsed.GetValue(_hold)!, cancellationToken).ConfigureAwait(false);
        context.Write(protection.ToInfo(repository.Location), static (writer, info) => TableOutput.WriteProperties(
            writer,
            ("Backup", info.BackupId),
            ("Protection", info.Kind),
            ("Until", DisplayText.Time(info.Until)),
            ("Mode", info.Mode),
            ("Reason", info.Reason),
            ("By", info.By)));
        return ExitCodes.Success;
    }
}
