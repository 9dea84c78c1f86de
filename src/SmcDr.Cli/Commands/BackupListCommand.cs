using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Operations;
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

    private static readonly Column<BackupInfo>[] s_columnsWithRepository =
        [.. Columns, new("Repository", static backup => backup.Repository)];

    private readonly Option<Component?> _component = new("--component")
    {
        Description = "Only backups of this component.",
        HelpName = "COMPONENT",
    };

    private readonly Option<bool> _copies = new("--include-copies") { Description = "Also list what is in the site's copies." };

    public BackupListCommand(CliHost host)
        : base(host, "list", "Lists the backups of the repository, oldest first.")
    {
        Options.Add(_component);
        Options.Add(_copies);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        bool includeCopies = context.Parsed.GetValue(_copies);
        IOperationObserver observer = context.CreatePlainObserver();
        Component[] components = context.Parsed.GetValue(_component) is { } one ? [one] : Enum.GetValues<Component>();
        List<BackupInfo> backups = [];
        await foreach (Repository repository in site.OpenAllAsync(context.Secrets, includeCopies, observer, cancellationToken).ConfigureAwait(false))
        {
            foreach (Component component in components)
            {
                await foreach (BackupEntry entry in repository.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
                {
                    entry.Warn(observer);
                    backups.Add(entry.ToInfo(repository.Location));
                }
            }
        }

        context.WriteList(
            [.. backups.OrderBy(static backup => backup.StartTime)],
            includeCopies ? s_columnsWithRepository : Columns,
            "There are no backups. 'smcdr backup database' takes one.");
        return ExitCodes.Success;
    }
}
