using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Repositories;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr runbook show</c>.</summary>
internal sealed class RunbookShowCommand : CliCommand
{
    private static readonly Column<RunbookStep>[] s_columns =
    [
        new("#", static step => step.Number.ToString(CultureInfo.InvariantCulture), IsNumber: true),
        new("Objective", static step => DisplayText.Duration(step.Objective), IsNumber: true),
        new("Measured", static step => DisplayText.Duration(step.Measured), IsNumber: true),
        new("Command", static step => step.Program ?? step.Command),
        new("What", static step => step.Title),
    ];

    private readonly Argument<IncidentScenario> _scenario = new("scenario")
    {
        Description = "podFailure, databaseCorruption, regionFailure, dataCenterFailure or ransomware.",
    };

    public RunbookShowCommand(CliHost host)
        : base(host, "show", "Shows what is to be done in a scenario, with the site's objectives and what recoveries took.")
    {
        Arguments.Add(_scenario);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository? repository = await SiteRunbooks.TryOpenAsync(site, context.Secrets, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        RunbookInfo runbook = await SiteRunbooks.GetAsync(site, repository, context.Parsed.GetValue(_scenario), cancellationToken).ConfigureAwait(false);
        context.Write(runbook, (writer, info) =>
        {
            writer.WriteLine(ErrorText.OneLine($"{info.Title}: objective {Or(info.Objective, "none")}, measured {Or(info.Measured, "not yet")}."));
            TableOutput.Write(writer, info.Steps, s_columns, context.IsRichOut);
        });
        return ExitCodes.Success;
    }

    private static string Or(TimeSpan? duration, string none) => duration is null ? none : DisplayText.Duration(duration);
}
