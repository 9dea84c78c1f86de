using System.CommandLine;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr incident stop</c>.</summary>
internal sealed class IncidentStopCommand : CliCommand
{
    private readonly Option<string> _summary = new("--summary") { Description = "What became of it.", Required = true, HelpName = "TEXT" };
    private readonly Option<string?> _cause = new("--root-cause") { Description = "Why it happened, as far as it is known.", HelpName = "TEXT" };
    private readonly Option<string?> _id = new("--id") { Description = "The incident. Default: the one that is open.", HelpName = "ID" };
    private readonly Option<bool> _noAlert = new("--no-alert") { Description = "Tell nobody." };

    public IncidentStopCommand(CliHost host)
        : base(host, "stop", "Closes an incident with what became of it.")
    {
        foreach (Option option in new Option[] { _summary, _cause, _id, _noAlert, GlobalOptions.Json })
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
        IncidentInfo incident = await SiteIncidents.StopAsync(
            site,
            repository,
            context.Parsed.GetValue(_id),
            context.Parsed.GetValue(_summary)!,
            context.Parsed.GetValue(_cause),
            cancellationToken).ConfigureAwait(false);
        IncidentOutput.Write(context, incident);
        return await IncidentOutput.TellAsync(context, site, incident, context.Parsed.GetValue(_noAlert), cancellationToken).ConfigureAwait(false);
    }
}
