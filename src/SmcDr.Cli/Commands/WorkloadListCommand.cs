namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr workload list</c>.</summary>
internal sealed class WorkloadListCommand(CliHost host)
    : WorkloadCommand(host, "list", "Lists the workloads in Kubernetes that write to the database, and whether they are at work.")
{
    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) =>
        RunAsync(context, false, null, (workloads, name) => workloads.GetAsync(name, cancellationToken), cancellationToken);
}
