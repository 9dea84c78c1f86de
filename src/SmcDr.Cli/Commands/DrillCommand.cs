using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Drills;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr drill</c>.</summary>
internal sealed class DrillCommand : CliCommand
{
    private static readonly Column<DrillStep>[] s_columns =
    [
        new("Took", static step => DisplayText.Seconds(step.DurationSeconds), IsNumber: true),
        new("Outcome", static step => step.Outcome),
        new("Step", static step => step.Name),
        new("What was done and found", static step => step.Detail),
    ];

    private readonly Option<long> _size = new("--size")
    {
        Description = "How much data is loaded.",
        HelpName = "SIZE",
        DefaultValueFactory = static _ => new DrillOptions().SizeBytes,
        CustomParser = static result => ArgumentParsers.Size(result) ?? 0,
    };

    private readonly Option<bool> _keep = new("--keep") { Description = "Keep the drill's files. Its processes end in any case." };
    private readonly Option<string?> _report = new("--report") { Description = "Write a report with a timeline, as one HTML file.", HelpName = "FILE" };
    private readonly Option<string?> _workDirectory = new("--work-directory")
    {
        Description = "Where the drill makes its directory. Default: the temporary directory.",
        HelpName = "PATH",
    };

    private readonly Option<string?> _binDirectory = new("--bin-directory")
    {
        Description = "The directory of PostgreSQL's server programs. Default: looked for.",
        HelpName = "PATH",
    };

    private readonly Option<string?> _redisBinDirectory = new("--redis-bin-directory")
    {
        Description = "The directory of redis-server. Default: looked for; where there is none, Redis is left out.",
        HelpName = "PATH",
    };

    public DrillCommand(CliHost host)
        : base(host, "drill", "Rehearses recovery on a throwaway server: destroys its data twice, recovers, compares.")
    {
        Options.Add(_size);
        Options.Add(_report);
        Options.Add(_keep);
        Options.Add(_workDirectory);
        Options.Add(_binDirectory);
        Options.Add(_redisBinDirectory);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        DrillOptions options = new()
        {
            SizeBytes = context.Parsed.GetValue(_size),
            Keep = context.Parsed.GetValue(_keep),
            ReportPath = context.Parsed.GetValue(_report) is { } report ? context.FullPath(report) : null,
            WorkDirectory = context.Parsed.GetValue(_workDirectory) is { } directory ? context.FullPath(directory) : null,
            BinDirectory = context.Parsed.GetValue(_binDirectory) is { } programs ? context.FullPath(programs) : null,
            RedisBinDirectory = context.Parsed.GetValue(_redisBinDirectory) is { } redis ? context.FullPath(redis) : null,
        };
        DrillResult result = await DrillDisplay.RunAsync(
            context, (observer, steps) => Drill.RunAsync(options, observer, steps, cancellationToken)).ConfigureAwait(false);
        context.Write(result, (writer, result) => WriteText(writer, result, context.IsRichOut));
        return result.GetFailure() is { } failure ? throw failure : ExitCodes.Success;
    }

    private static void WriteText(TextWriter writer, DrillResult result, bool isRich)
    {
        TableOutput.Write(writer, result.Steps, s_columns, isRich);
        writer.WriteLine();
        TableOutput.WriteProperties(
            writer,
            ("Drill", result.Succeeded ? "Passed" : "Failed"),
            ("Time to recover", Allowed(result.RtoSeconds, result.RtoObjectiveSeconds)),
            ("Data loss", Allowed(result.RpoSeconds, result.RpoObjectiveSeconds)),
            ("Rows", FormattableString.Invariant(
                $"{result.Acknowledged:N0} acknowledged, {result.Recovered:N0} recovered, {result.LostAcknowledged:N0} lost, {result.UnexpectedRows:N0} unexpected")),
            ("Redis", result.RedisLeftOut is { } reason ? $"left out. {reason}" : result.RedisRtoSeconds is null ? "not restored" : null),
            ("Redis: time to recover", Allowed(result.RedisRtoSeconds, result.RedisRtoObjectiveSeconds)),
            ("Redis: data loss", Allowed(result.RedisRpoSeconds, result.RedisRpoObjectiveSeconds)),
            ("Redis: keys", result.RedisAcknowledged is { } keys
                ? FormattableString.Invariant(
                    $"{keys:N0} acknowledged, {result.RedisRecovered:N0} recovered, {result.RedisLostAcknowledged:N0} lost, {result.RedisUnexpectedKeys:N0} unexpected")
                : null),
            ("Report", result.ReportPath));
    }

    private static string? Allowed(double? seconds, double objective) => seconds is { } measured
        ? $"{(measured == 0 ? "0 s" : DisplayText.Seconds(measured))} of {DisplayText.Seconds(objective)} allowed"
        : null;
}
