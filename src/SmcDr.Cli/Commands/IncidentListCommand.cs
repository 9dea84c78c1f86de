using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr incident list</c>.</summary>
internal sealed class IncidentListCommand : CliCommand
{
    private static readonly Column<IncidentInfo>[] s_columns =
    [
        new("Incident", static incident => incident.IncidentId),
        new("State", static incident => incident.State),
        new("Severity", static incident => incident.Severity.ToString()),
        new("Scenario", static incident => incident.Scenario.ToString()),
        new("Took", static incident => DisplayText.Duration(incident.Duration), IsNumber: true),
        new("Title", static incident => incident.Title),
    ];

    private readonly Option<bool> _open = new("--open") { Description = "Only those that are open." };
    private readonly Option<int> _last = new("--last") { Description = "At most how many; 20 without it.", DefaultValueFactory = static _ => 20 };

    public IncidentListCommand(CliHost host)
        : base(host, "list", "Lists the site's incidents, newest first.")
    {
        foreach (Option option in new Option[] { _open, _last, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        context.WriteList(
            await SiteIncidents.ListAsync(
                site,
                repository,
                context.Parsed.GetValue(_open),
                context.Parsed.GetValue(_last),
                context.CreatePlainObserver(),
                cancellationToken).ConfigureAwait(false),
            s_columns,
            "There are no incidents.");
        return ExitCodes.Success;
    }
}
