using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr system backup</c>.</summary>
internal sealed class SystemBackupCommand : CliCommand
{
    private static readonly Column<BackupInfo>[] s_columns =
    [
        new("Component", static backup => backup.Component),
        new("Id", static backup => backup.Id),
        new("State", static backup => backup.State),
        new("Size", static backup => DisplayText.Size(backup.SizeBytes), IsNumber: true),
        new("Stored", static backup => DisplayText.Size(backup.StoredBytes), IsNumber: true),
        new("Took", static backup => DisplayText.Duration(backup.Duration), IsNumber: true),
        new("Name", static backup => backup.Name),
    ];

    private readonly Option<Component[]> _components = SystemArguments.NewComponents("Back up only this. Can be given again.");
    private readonly Option<string?> _label = new("--label") { Description = "A label that the backups share. Default: one with the time.", HelpName = "TEXT" };

    public SystemBackupCommand(CliHost host)
        : base(host, "backup", "Backs up database, Redis, configuration and file stores beside each other.")
    {
        foreach (Option option in new Option[] { _components, _label, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override IReadOnlyCollection<Component>? BacksUp => Enum.GetValues<Component>();

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        SystemBackupOptions options = new()
        {
            Label = context.Parsed.GetValue(_label),
            Components = context.Parsed.GetValue(_components)!,
        };
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        SystemBackupResult result = await context.ObserveAsync(observer => new SystemBackup(site, context.Secrets, options, observer)
            .RunAsync(static _ => Task.CompletedTask, cancellationToken)).ConfigureAwait(false);
        context.Write(result, (writer, whole) =>
        {
            TableOutput.Write(writer, whole.Backups, s_columns, context.IsRichOut);
            TableOutput.WriteProperties(
                writer,
                ("State", whole.State),
                ("Label", whole.Label),
                ("Apart", DisplayText.Seconds(whole.SkewSeconds)),
                ("Took", DisplayText.Duration(whole.Duration)),
                ("Problems", string.Join(' ', whole.Problems)));
        });
        return SystemBackup.FindFailure(result) is { } failure
            ? throw failure
            : BackupFinish.ExitCodeOf([.. result.Backups]);
    }
}
