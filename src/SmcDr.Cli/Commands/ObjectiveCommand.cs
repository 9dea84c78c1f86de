using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr objective</c>.</summary>
internal sealed class ObjectiveCommand : CliCommand
{
    private static readonly Column<ObjectiveResult>[] s_columns =
    [
        new("Verdict", static result => result.Verdict),
        new("Component", static result => result.Subject is null ? result.Component : $"{result.Component} {result.Subject}"),
        new("Lost now", static result => result.LossSeconds is null ? "?" : (result.LossIsBound ? "<= " : "") + DisplayText.Seconds(result.LossSeconds), IsNumber: true),
        new("RPO", static result => DisplayText.Duration(result.Rpo), IsNumber: true),
        new("Recovery", static result => result.PredictedRecoverySeconds is null ? "?" : DisplayText.Seconds(result.PredictedRecoverySeconds), IsNumber: true),
        new("RTO", static result => DisplayText.Duration(result.Rto), IsNumber: true),
        new("Proven", static result => DisplayText.Time(result.ProvenTime)),
        new("Problems", static result => string.Join(' ', result.Problems)),
    ];

    private readonly Option<bool> _offline = new("--offline") { Description = "Do not ask the server what would be lost now." };
    private readonly Option<string?> _outFile = new("--out-file")
    {
        Description = "Write the result for Prometheus's textfile collector as well, as a whole; also where the measurement fails.",
        HelpName = "PATH",
    };

    public ObjectiveCommand(CliHost host)
        : base(host, "objective", "Measures what holds now of the site's objectives: what would be lost, and how long a recovery takes.")
    {
        Options.Add(_offline);
        Options.Add(_outFile);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        IOperationObserver observer = context.CreatePlainObserver();
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? path = context.Parsed.GetValue(_outFile) is { } given ? context.FullPath(given) : null;
        ObjectiveMeter meter = new(site, context.Secrets, context.Parsed.GetValue(_offline), observer);
        IReadOnlyList<ObjectiveResult> results = await MetricsFile.MeasureAsync(site.Name, meter.MeasureAsync, path, cancellationToken).ConfigureAwait(false);
        context.WriteList(results, s_columns, "The site has no objectives.");
        foreach (string warning in ObjectiveMeter.FindWarnings(results))
        {
            observer.Warning(warning);
        }

        if (ObjectiveMeter.FindFailure(results) is not { } failure)
        {
            return ExitCodes.Success;
        }

        ErrorText.Write(context.Host.Error, failure);
        return SmcErrors.Get(failure.Code).ExitCode;
    }
}
