using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Notifications;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr schedule run</c>: what schedules run, so that none of them needs a shell to tell of a failure.</summary>
internal sealed class ScheduleRunCommand : CliCommand
{
    private const int LinesOfAlert = 40;

    private readonly Argument<string> _task = new("task") { Description = $"What is to be done: {string.Join(", ", SiteSchedules.Tasks)}." };
    private readonly Option<bool> _quiet = new("--quiet") { Description = "Say nothing where it succeeds, as cron would make a mail of it." };

    public ScheduleRunCommand(CliHost host)
        : base(host, "run", "Does what a schedule is for, and alerts where it fails; after the monitor, the heartbeat is told that all is well.")
    {
        Arguments.Add(_task);
        Options.Add(_quiet);
    }

    // What it runs is.
    protected override bool IsNoted => false;

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string task = context.Parsed.GetValue(_task)!;
        IReadOnlyList<string> command = SiteSchedules.GetCommand(site, task);
        string? state = AlertSendOptions.FindStateDirectory(context.Host.Environment);
        using TaskHold? hold = TaskHold.TryTake(state, site.Name, task);
        if (hold is null)
        {
            return await TellOfRunningAsync(context, site, task, state, cancellationToken).ConfigureAwait(false);
        }

        bool isQuiet = context.Parsed.GetValue(_quiet);
        StringWriter said = new();
        StringWriter written = new();
        CliHost inner = context.Host with
        {
            Out = isQuiet ? written : new TeeWriter(context.Host.Out, written),
            Error = isQuiet ? said : new TeeWriter(context.Host.Error, said),
            IsInteractive = false,
            IsOutTerminal = false,
            IsErrorTerminal = false,
            HandlesSignals = false,
        };
        List<string> arguments = ["--site", site.Path, .. command];
        if (context.Verbose)
        {
            arguments.Add("--verbose");
        }

        int exitCode = await new CliApplication(inner).RunAsync(arguments, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        if (isQuiet && exitCode != ExitCodes.Success)
        {
            await context.Host.Out.WriteAsync(written.ToString()).ConfigureAwait(false);
            await context.Host.Error.WriteAsync(said.ToString()).ConfigureAwait(false);
        }

        int told = await TellAsync(context, site, task, exitCode, $"{said}{written}", state, cancellationToken).ConfigureAwait(false);
        return exitCode != ExitCodes.Success ? exitCode : told;
    }

    /// <summary>One that takes its time is no failure; one that hangs is, since nothing of the kind is done any more.</summary>
    private static async Task<int> TellOfRunningAsync(
        CliContext context, Site site, string task, string? state, CancellationToken cancellationToken)
    {
        DateTimeOffset? since = TaskHold.FindSince(state, site.Name, task);
        TimeSpan limit = SiteSchedules.GetRunLimit(site, task);
        if (!(DateTimeOffset.UtcNow - since > limit))
        {
            await context.Host.Error.WriteLineAsync(
                $"'{task}' of the site '{site.Name}' still runs on this host since {(since is null ? "the last time" : DisplayText.Time(since))}; it is not begun " +
                    "beside itself.").ConfigureAwait(false);
            return ExitCodes.Success;
        }

        SmcException hangs = new(
            SmcErrorCode.OperationInProgress,
            $"'{task}' of the site '{site.Name}' runs on this host since {DisplayText.Time(since)}, longer than {DisplayText.Duration(limit)}, and is not begun " +
                "beside itself: it hangs.",
            recommendation: $"Look what it waits for, and end it (pgrep -af 'schedule run {task}'). Where it may take so long, add 'runLimit' to the schedules in " +
                $"'{site.Path}'.",
            target: task);
        ErrorText.Write(context.Host.Error, hangs);
        int exitCode = SmcErrors.Get(hangs.Code).ExitCode;
        await TellAsync(context, site, task, exitCode, $"{hangs.Message}\n{hangs.Recommendation}", state, cancellationToken).ConfigureAwait(false);
        return exitCode;
    }

    private static async Task<int> TellAsync(
        CliContext context, Site site, string task, int exitCode, string said, string? state, CancellationToken cancellationToken)
    {
        AlertSender sender = new(site, context.Secrets, context.CreatePlainObserver());
        List<AlertResult> results = [];
        bool isWell = exitCode == ExitCodes.Success;
        // What a test of recovery has found it tells by itself.
        bool isTold = task == SiteSchedules.RecoveryTestTask && exitCode == TestRecoveryCommand.FailedExitCode;
        // That it works again is news to those alone who know that it did not; without a directory for that, nobody knows who they are.
        if (site.Notifications.Count > 0 && !isTold && (!isWell || state is not null))
        {
            Alert alert = Alert.Create(
                site.Name,
                isWell ? AlertSeverity.Information : exitCode == ExitCodes.Partial ? AlertSeverity.Warning : AlertSeverity.Error,
                isWell ? $"Scheduled work is done again: {task}"
                    : exitCode == ExitCodes.Partial ? $"Scheduled work was done in part: {task}"
                    : FormattableString.Invariant($"Scheduled work failed: {task} (exit code {exitCode})"),
                isWell ? null : string.Join('\n', said.Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(LinesOfAlert)),
                [],
                $"schedule/{task}",
                isWell,
                DateTimeOffset.UtcNow);
            results.AddRange(await sender.SendAsync(alert, new AlertSendOptions { StateDirectory = state }, cancellationToken).ConfigureAwait(false));
        }

        if (isWell && task == "monitor" && site.Alerts.HeartbeatUrl is not null)
        {
            results.Add(await sender.SendHeartbeatAsync(new DeliveryOptions(), cancellationToken).ConfigureAwait(false));
        }

        if (AlertSender.FindFailure(results) is not { } failure)
        {
            return ExitCodes.Success;
        }

        ErrorText.Write(context.Host.Error, failure);
        return SmcErrors.Get(failure.Code).ExitCode;
    }
}
