using System.CommandLine;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr incident start</c>.</summary>
internal sealed class IncidentStartCommand : CliCommand
{
    private readonly Argument<string> _title = new("title") { Description = "What happened, in a line." };
    private readonly Option<AlertSeverity> _severity = new("--severity")
    {
        Description = "How much it matters: information, warning, error or critical. Default: critical.",
        DefaultValueFactory = static _ => AlertSeverity.Critical,
        HelpName = "SEVERITY",
    };

    private readonly Option<IncidentScenario> _scenario = new("--scenario")
    {
        Description = "What it is, as far as procedures go: podFailure, databaseCorruption, regionFailure, dataCenterFailure or ransomware. Default: other.",
        HelpName = "SCENARIO",
    };

    private readonly Option<bool> _noAlert = new("--no-alert") { Description = "Tell nobody." };

    public IncidentStartCommand(CliHost host)
        : base(host, "start", "Opens an incident: what is done to the site is noted in its timeline until it is closed.")
    {
        Arguments.Add(_title);
        foreach (Option option in new Option[] { _severity, _scenario, _noAlert, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    // An incident is not noted in itself.
    protected override bool IsNoted => false;

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        IncidentRequest request = new(context.Parsed.GetValue(_title)!, context.Parsed.GetValue(_severity), context.Parsed.GetValue(_scenario));
        IncidentInfo incident = await SiteIncidents.StartAsync(site, repository, request, cancellationToken).ConfigureAwait(false);
        IncidentOutput.Write(context, incident);
        return await IncidentOutput.TellAsync(context, site, incident, context.Parsed.GetValue(_noAlert), cancellationToken).ConfigureAwait(false);
    }
}
