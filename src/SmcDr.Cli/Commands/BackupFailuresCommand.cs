using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Failures;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup failures</c>.</summary>
internal sealed class BackupFailuresCommand : CliCommand
{
    private readonly Option<Component?> _component = new("--component") { Description = "Only those of this component.", HelpName = "COMPONENT" };
    private readonly Option<string?> _after = new("--after") { Description = "Only those after this instant, such as -24h.", HelpName = "TIME" };
    private readonly Option<int> _last = new("--last") { Description = "At most how many; 20 without it.", DefaultValueFactory = static _ => 20 };

    public BackupFailuresCommand(CliHost host)
        : base(host, "failures", "Says why backups failed, newest first, and what to do about it.")
    {
        foreach (Option option in new Option[] { _component, _after, _last, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override bool IsNoted => false;

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        BackupFailureQuery query = new()
        {
            Components = context.Parsed.GetValue(_component) is { } component ? [component] : [],
            After = context.Parsed.GetValue(_after) is { } text ? InstantText.Parse(text) : null,
            First = context.Parsed.GetValue(_last),
            StateDirectory = AlertSendOptions.FindStateDirectory(context.Host.Environment),
        };
        IReadOnlyList<BackupFailure> failures = await BackupFailures.ListAsync(
            context.LoadSite(), context.Secrets, query, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        if (failures.Count == 0 || context.Json)
        {
            context.WriteList<BackupFailure>(failures, [], "No failure of a backup is noted.");
            return ExitCodes.Success;
        }

        // Not a table: what went wrong and what to do about it are sentences.
        context.WriteEach(failures, static (writer, failure) => TableOutput.WriteProperties(
            writer,
            ("Failed", DisplayText.Time(failure.Time)),
            ("Component", failure.Component ?? "several"),
            ("Problem", failure.Problem),
            ("Do", failure.Recommendation),
            ("Error", failure.ErrorId),
            ("Command", failure.Command),
            ("After", DisplayText.Duration(failure.Elapsed)),
            ("By", failure.By),
            ("Backup", failure.BackupId),
            ("Made up by", failure.NextBackupId),
            ("Noted in", failure.NotedIn)));
        return ExitCodes.Success;
    }
}
