using System.Collections;
using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that can run in the site's cluster.</summary>
public abstract class JobCmdlet : SiteCmdlet
{
    private readonly List<SiteJob> _jobs = [];

    /// <summary>
    /// Runs in the Kubernetes cluster of the site's primary region, by the image that its kubernetes.job names, and follows it from here: progress, results
    /// and errors are the same.
    /// </summary>
    [Parameter]
    public SwitchParameter AsKubernetesJob { get; set; }

    /// <summary>With -AsKubernetesJob, ends what runs in the cluster when this command is stopped. Without it, that goes on there.</summary>
    [Parameter]
    public SwitchParameter CancelOnStop { get; set; }

    /// <inheritdoc/>
    protected override Task BeginProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        CancelOnStop && !AsKubernetesJob
            ? throw new SmcException(
                SmcErrorCode.ArgumentInvalid, "-CancelOnStop is for -AsKubernetesJob.", recommendation: "Add -AsKubernetesJob, or leave -CancelOnStop out.")
            : Task.CompletedTask;

    /// <summary>
    /// The options of <c>smcdr</c> that say the same as parameters: nothing for null and false, the name alone for true, one for each of a list.
    /// </summary>
    private protected static List<string> Options(params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        List<string> options = [];
        foreach ((string name, object? value) in parameters)
        {
            switch (value)
            {
                case null or false or SwitchParameter { IsPresent: false }:
                    break;
                case true or SwitchParameter:
                    options.Add(name);
                    break;
                case IEnumerable many and not string:
                    options.AddRange(many.Cast<object>().SelectMany(one => SiteJobs.Option(name, Text(one))));
                    break;
                default:
                    options.AddRange(SiteJobs.Option(name, Text(value)));
                    break;
            }
        }

        return options;
    }

    /// <summary>Asks whether a command is to run in the cluster, where that is to be asked, and keeps it for <see cref="RunJobsAsync"/>.</summary>
    private protected async Task AddJobsAsync(
        SmcPipeline pipeline, Site site, JobCommand command, IReadOnlyList<string> arguments, IReadOnlyList<string> databases, bool isAsked = true)
    {
        foreach (SiteJob job in site.CreateJobs(command, arguments, databases, pipeline))
        {
            if (!isAsked || await pipeline.ShouldProcessAsync(
                $"Kubernetes {(job.IsDeployment ? "Deployment" : "Job")} '{job.Spec.Name}'",
                $"Run {job.Display}, with the repository {site.Repository.Location}").ConfigureAwait(false))
            {
                _jobs.Add(job);
            }
        }
    }

    /// <summary>Runs what was kept, all at once, and writes an error for each that fails where there are several.</summary>
    private protected async Task RunJobsAsync<T>(SmcPipeline pipeline, Func<T, Task> onResult, CancellationToken cancellationToken)
    {
        foreach (SmcException failure in await SiteJobs.RunAsync(_jobs, CancelOnStop, onResult, pipeline, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteErrorAsync(failure).ConfigureAwait(false);
        }
    }

    /// <summary>What was kept and is left to the cluster, if it was agreed to.</summary>
    private protected SiteJob? TakeDeployment() => _jobs.Find(static job => job.IsDeployment);

    private static string Text(object value) => value switch
    {
        TimeSpan duration => DurationText.Format(duration),
        DateTimeOffset time => time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };
}
