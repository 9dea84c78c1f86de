using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr workload resume</c>.</summary>
internal sealed class WorkloadResumeCommand : WorkloadCommand
{
    private readonly Option<TimeSpan?> _timeout = NewTimeout("With --wait, how long each may take to become ready. Default: 5m.");
    private readonly Option<bool> _wait = new("--wait") { Description = "Wait for each until all of it is ready." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };

    public WorkloadResumeCommand(CliHost host)
        : base(host, "resume", "Starts the workloads again that were suspended, from the last to the first, as they were.")
    {
        Options.Add(_wait);
        Options.Add(_timeout);
        Options.Add(_dryRun);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (context.Parsed.GetValue(_dryRun))
        {
            foreach (WorkloadInfo info in await ListAsync(context, true, cancellationToken).ConfigureAwait(false))
            {
                await context.Host.Out.WriteLineAsync(ErrorText.OneLine($"{info.Name}: {ClusterWorkloads.DescribeResumption(info)}.")).ConfigureAwait(false);
            }

            return ExitCodes.Success;
        }

        bool wait = context.Parsed.GetValue(_wait);
        return await RunAsync(
            context, true, context.Parsed.GetValue(_timeout), (workloads, name) => workloads.ResumeAsync(name, wait, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
    }
}
