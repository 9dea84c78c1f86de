using System.CommandLine;
using SmcDr.Core.Failures;
using SmcDr.Core.Notifications;

namespace SmcDr.Cli;

/// <summary>One command: binds its options, asks where it must, calls the engine and writes what comes back.</summary>
internal abstract class CliCommand : Command
{
    protected CliCommand(CliHost host, string name, string description)
        : base(name, description)
    {
        SetAction((parsed, cancellationToken) => RunNotedAsync(new CliContext(host, parsed, IsNoted), cancellationToken));
    }

    /// <summary>Whether the command is noted in the site's open incidents: what only looks is not.</summary>
    protected virtual bool IsNoted => Name is not ("list" or "show" or "history" or "metrics" or "version");

    /// <summary>What the command backs up; null where it is no backup. Why one fails is noted, for whoever asks in the morning.</summary>
    protected virtual IReadOnlyCollection<Component>? BacksUp => null;

    /// <summary>Runs the command and returns its exit code.</summary>
    protected abstract Task<int> RunAsync(CliContext context, CancellationToken cancellationToken);

    private async Task<int> RunNotedAsync(CliContext context, CancellationToken cancellationToken)
    {
        try
        {
            int exitCode = await RunAsync(context, cancellationToken).ConfigureAwait(false);
            SmcErrorInfo? failure = SmcErrors.All.FirstOrDefault(info => info.ExitCode == exitCode);
            await EndAsync(
                context,
                exitCode == ExitCodes.Success ? "Succeeded" : failure?.Code == SmcErrorCode.OperationStopped ? "Declined" : "Failed",
                failure is null || failure.Code == SmcErrorCode.OperationStopped
                    ? null
                    : new SmcException(failure.Code, FormattableString.Invariant($"Exit code {exitCode}.")))
                .ConfigureAwait(false);
            return exitCode;
        }
        catch (Exception e)
        {
            bool isStopped = e is OperationCanceledException or SmcException { Code: SmcErrorCode.OperationStopped };
            SmcException? error = e is OperationCanceledException ? null : e as SmcException ?? new SmcException(SmcErrorCode.InternalError, e.Message, e);
            await EndAsync(context, isStopped ? "Stopped" : "Failed", error).ConfigureAwait(false);
            if (!isStopped && BacksUp is { } components && context.Recorder is { } recorder)
            {
                await BackupFailures.NoteAsync(
                    recorder.Site,
                    context.Secrets,
                    components.Count == 1 ? components.First() : null,
                    recorder.Command,
                    recorder.StartTime,
                    error!,
                    AlertSendOptions.FindStateDirectory(context.Host.Environment),
                    context.CreatePlainObserver()).ConfigureAwait(false);
            }

            throw;
        }
    }

    private static Task EndAsync(CliContext context, string outcome, SmcException? error) =>
        context.Recorder?.EndAsync(outcome, error, context.CreatePlainObserver()) ?? Task.CompletedTask;
}
