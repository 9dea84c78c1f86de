using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary>The base of the commands below <c>smcdr workload</c>: they work on the site's writers one after the other.</summary>
internal abstract class WorkloadCommand : CliCommand
{
    private static readonly Column<WorkloadInfo>[] s_columns =
    [
        new("Name", static info => info.Name),
        new("State", static info => info.State),
        new("Replicas", static info => Number(info.Replicas), IsNumber: true),
        new("Ready", static info => Number(info.ReadyCount), IsNumber: true),
        new("Pods", static info => Number(info.PodCount), IsNumber: true),
        new("Was", static info => Number(info.RememberedReplicas), IsNumber: true),
        new("Suspended", static info => DisplayText.Time(info.SuspendedTime)),
        new("By", static info => info.SuspendedBy),
        new("Autoscaler", static info => info.Autoscaler),
    ];

    private readonly Option<string[]> _names = new("--name")
    {
        Description = "This writer, by kind and name, by name, or by a pattern with * and ?. Can be given again. Default: all of the site.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string?> _region = new("--region") { Description = "The site's region. Default: the primary one.", HelpName = "NAME" };

    protected WorkloadCommand(CliHost host, string name, string description)
        : base(host, name, description)
    {
        Options.Add(_names);
        Options.Add(_region);
        Options.Add(GlobalOptions.Json);
    }

    protected static Option<TimeSpan?> NewTimeout(string description) => BackupArguments.NewDuration("--timeout", description);

    /// <summary>Works on the chosen writers and writes how they are.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="isReversed">Whether the last one comes first.</param>
    /// <param name="timeout">How long each may take.</param>
    /// <param name="work">The work on one.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    protected async Task<int> RunAsync(
        CliContext context,
        bool isReversed,
        TimeSpan? timeout,
        Func<ClusterWorkloads, WorkloadName, Task<WorkloadInfo>> work,
        CancellationToken cancellationToken)
    {
        (List<WorkloadInfo> done, List<SmcException> failures) = await context.ObserveAsync(
            observer => WorkAsync(context, isReversed, timeout, work, observer, cancellationToken)).ConfigureAwait(false);
        context.WriteList(done, s_columns, "No writer matches.");
        if (failures.Count == 0)
        {
            return ExitCodes.Success;
        }

        foreach (SmcException failure in failures)
        {
            ErrorText.Write(context.Host.Error, failure);
        }

        return done.Count > 0 ? ExitCodes.Partial : SmcErrors.Get(failures[0].Code).ExitCode;
    }

    /// <summary>How the chosen writers are now.</summary>
    protected async Task<IReadOnlyList<WorkloadInfo>> ListAsync(CliContext context, bool isReversed, CancellationToken cancellationToken)
    {
        (List<WorkloadInfo> found, List<SmcException> failures) = await context.ObserveAsync(observer => WorkAsync(
            context, isReversed, null, (workloads, name) => workloads.GetAsync(name, cancellationToken), observer, cancellationToken)).ConfigureAwait(false);
        return failures.Count == 0 ? found : throw failures[0];
    }

    private async Task<(List<WorkloadInfo> Done, List<SmcException> Failures)> WorkAsync(
        CliContext context,
        bool isReversed,
        TimeSpan? timeout,
        Func<ClusterWorkloads, WorkloadName, Task<WorkloadInfo>> work,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? region = context.Parsed.GetValue(_region);
        IReadOnlyList<WorkloadName> writers = site.SelectWriters(context.Parsed.GetValue(_names)!);
        using KubernetesClient client = await site.GetKubernetes(region).ConnectAsync(observer, cancellationToken).ConfigureAwait(false);
        ClusterWorkloads workloads = site.CreateWorkloads(client, region, timeout, observer);
        List<WorkloadInfo> done = [];
        List<SmcException> failures = [];
        foreach (WorkloadName writer in isReversed ? writers.Reverse() : writers)
        {
            try
            {
                done.Add(await work(workloads, writer).ConfigureAwait(false));
            }
            catch (SmcException e) when (e.Code is not (SmcErrorCode.ClusterUnavailable or SmcErrorCode.ClusterAuthenticationFailed))
            {
                // One that fails is no reason to leave the next as it is.
                failures.Add(e);
            }
        }

        return (done, failures);
    }

    private static string? Number(int? number) => number?.ToString(CultureInfo.InvariantCulture);
}
