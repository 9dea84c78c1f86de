using System.CommandLine;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr incident show</c>.</summary>
internal sealed class IncidentShowCommand : CliCommand
{
    private readonly Argument<string?> _id = new("id")
    {
        Description = "The incident. Default: the one that is open, else the newest.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public IncidentShowCommand(CliHost host)
        : base(host, "show", "Shows an incident with its timeline.")
    {
        Arguments.Add(_id);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        IncidentOutput.Write(context, await SiteIncidents.GetAsync(
            site, repository, context.Parsed.GetValue(_id), context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false));
        return ExitCodes.Success;
    }
}
