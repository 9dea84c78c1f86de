using System.CommandLine;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr incident note</c>.</summary>
internal sealed class IncidentNoteCommand : CliCommand
{
    private readonly Argument<string> _text = new("text") { Description = "The note." };
    private readonly Option<IncidentPhase?> _phase = new("--phase")
    {
        Description = "The phase that begins with it: response, communication, recovery, verification or postIncident.",
        HelpName = "PHASE",
    };

    private readonly Option<string?> _id = new("--id") { Description = "The incident. Default: the one that is open.", HelpName = "ID" };

    public IncidentNoteCommand(CliHost host)
        : base(host, "note", "Adds a note to the timeline of an incident.")
    {
        Arguments.Add(_text);
        foreach (Option option in new Option[] { _phase, _id, GlobalOptions.Json })
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
        (string? id, string text, IncidentPhase? phase) = (context.Parsed.GetValue(_id), context.Parsed.GetValue(_text)!, context.Parsed.GetValue(_phase));
        IncidentOutput.Write(context, await SiteIncidents.AddNoteAsync(site, repository, id, text, phase, cancellationToken).ConfigureAwait(false));
        return ExitCodes.Success;
    }
}
