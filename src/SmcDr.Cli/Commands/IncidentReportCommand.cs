using System.CommandLine;
using SmcDr.Core.Incidents;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr incident report</c>.</summary>
internal sealed class IncidentReportCommand : CliCommand
{
    private readonly Argument<string?> _id = new("id")
    {
        Description = "The incident. Default: the one that is open, else the newest.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string> _file = new("--out-file")
    {
        Description = "The file: Markdown where its name ends with .md, with the chart beside it, else one HTML file.",
        Required = true,
        HelpName = "FILE",
    };

    public IncidentReportCommand(CliHost host)
        : base(host, "report", "Writes a report of an incident, with a chart of what was done when.")
    {
        Arguments.Add(_id);
        Options.Add(_file);
        Options.Add(GlobalOptions.Json);
    }

    // An incident is not noted in itself.
    protected override bool IsNoted => false;

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        IncidentInfo incident = await SiteIncidents.GetAsync(
            site, repository, context.Parsed.GetValue(_id), context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        IReadOnlyList<string> files = await IncidentReport.WriteAsync(
            context.FullPath(context.Parsed.GetValue(_file)!), incident, cancellationToken).ConfigureAwait(false);
        context.Write(files, static (writer, all) =>
        {
            foreach (string file in all)
            {
                writer.WriteLine(file);
            }
        });
        return ExitCodes.Success;
    }
}
