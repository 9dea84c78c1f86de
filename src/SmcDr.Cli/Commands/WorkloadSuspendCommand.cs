using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr workload suspend</c>.</summary>
internal sealed class WorkloadSuspendCommand : WorkloadCommand
{
    private readonly Option<TimeSpan?> _timeout = NewTimeout("How long the pods of each may take to go. Default: 5m.");
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public WorkloadSuspendCommand(CliHost host)
        : base(host, "suspend", "Stops the workloads that write to the database, and waits until their pods are gone.")
    {
        Options.Add(_timeout);
        Options.Add(_dryRun);
        Options.Add(_yes);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        bool isDryRun = context.Parsed.GetValue(_dryRun);
        bool yes = context.Parsed.GetValue(_yes);
        if (isDryRun || !yes)
        {
            IReadOnlyList<WorkloadInfo> found = await ListAsync(context, false, cancellationToken).ConfigureAwait(false);
            foreach (WorkloadInfo info in found)
            {
                await (isDryRun ? context.Host.Out : context.Host.Error)
                    .WriteLineAsync(ErrorText.OneLine($"{info.Name}: {ClusterWorkloads.DescribeSuspension(info)}.")).ConfigureAwait(false);
            }

            if (isDryRun)
            {
                return ExitCodes.Success;
            }

            if (!await context.ConfirmAsync("These workloads will be stopped.", yes, cancellationToken).ConfigureAwait(false))
            {
                await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
                return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
            }
        }

        return await RunAsync(
            context, false, context.Parsed.GetValue(_timeout), (workloads, name) => workloads.SuspendAsync(name, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
    }
}
