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
    /// <summary>What scenarios there are, for help.</summary>
    public const string ScenarioText = "podFailure, databaseCorruption, regionFailure, dataCenterFailure or ransomware.";

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
        Description = ScenarioText,
    };

    public RunbookShowCommand(CliHost host)
        : base(host, "show", "Shows what is to be done in a scenario, with the site's objectives and what recoveries took.")
    {
        Arguments.Add(_scenario);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository? repository = await SiteRunbooks.TryOpenAsync(site, context.Secrets, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        RunbookInfo runbook = await SiteRunbooks.GetAsync(site, repository, context.Parsed.GetValue(_scenario), cancellationToken).ConfigureAwait(false);
        context.Write(runbook, (writer, info) =>
        {
            writer.WriteLine(ErrorText.OneLine(
                $"{info.Title}: objective {Or(info.Objective, "none")}, estimated {Or(info.Estimated, "not yet")}, measured {Or(info.Measured, "not yet")}."));
            writer.WriteLine(ErrorText.OneLine($"All of it as one plan: {info.Program}"));
            TableOutput.Write(writer, info.Steps, s_columns, context.IsRichOut);
        });
        return ExitCodes.Success;
    }

    private static string Or(TimeSpan? duration, string none) => duration is null ? none : DisplayText.Duration(duration);
}
