using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup list</c>.</summary>
internal sealed class BackupListCommand : CliCommand
{
    public static readonly IReadOnlyList<Column<BackupInfo>> Columns =
    [
        new("Backup", static backup => backup.Id),
        new("Component", static backup => backup.Name is null ? backup.Component : $"{backup.Component} {backup.Name}"),
        new("State", static backup => backup.State),
        new("Started", static backup => DisplayText.Time(backup.StartTime)),
        new("Took", static backup => DisplayText.Duration(backup.Duration), IsNumber: true),
        new("Size", static backup => DisplayText.Size(backup.SizeBytes), IsNumber: true),
        new("Stored", static backup => DisplayText.Size(backup.StoredBytes), IsNumber: true),
        new("Label", static backup => backup.Label),
    ];

    private readonly Option<Component?> _component = new("--component")
    {
        Description = "Only backups of this component.",
        HelpName = "COMPONENT",
    };

    public BackupListCommand(CliHost host)
        : base(host, "list", "Lists the backups of the repository, oldest first.")
    {
        Options.Add(_component);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        Component[] components = context.Parsed.GetValue(_component) is { } one ? [one] : Enum.GetValues<Component>();
        List<BackupInfo> backups = [];
        foreach (Component component in components)
        {
            await foreach (BackupEntry entry in repository.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
            {
                backups.Add(entry.ToInfo(repository.Location));
            }
        }

        context.WriteList(
            [.. backups.OrderBy(static backup => backup.StartTime)], Columns, "There are no backups. 'smcdr backup database' takes one.");
        return ExitCodes.Success;
    }
}
