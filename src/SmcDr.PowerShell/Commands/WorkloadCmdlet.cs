using System.Management.Automation;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that work on the site's writers in Kubernetes.</summary>
public abstract class WorkloadCmdlet : SiteCmdlet
{
    private readonly List<string> _names = [];
    private bool _asked;

    /// <summary>
    /// The writers, by kind and name such as deployment/trading-engine, by the name alone, or by patterns with * and ?. Without it, all that the site
    /// names. What Get-SmcWorkload returns can be piped in.
    /// </summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(WriterCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>The site's region. Without it, the primary one.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>Whether the writers are worked on from the last to the first.</summary>
    private protected virtual bool IsReversed => false;

    /// <summary>How long each may take; null = as by default.</summary>
    private protected virtual TimeSpan? TimeLimit => null;

    /// <inheritdoc/>
    protected sealed override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // All of them first: they have an order, which is the site's and not that in which they come.
        _asked = true;
        _names.AddRange(Name);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected sealed override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (!_asked)
        {
            pipeline.WriteWarning("No workload came through the pipeline, so nothing is done.");
            return;
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        IReadOnlyList<WorkloadName> writers = site.SelectWriters(_names);
        using KubernetesClient client = await site.GetKubernetes(Region).ConnectAsync(pipeline, cancellationToken).ConfigureAwait(false);
        ClusterWorkloads workloads = site.CreateWorkloads(client, Region, TimeLimit, pipeline);
        foreach (WorkloadName writer in IsReversed ? writers.Reverse() : writers)
        {
            try
            {
                if (await WorkAsync(pipeline, workloads, writer, cancellationToken).ConfigureAwait(false) is { } info)
                {
                    await pipeline.WriteObjectAsync(info).ConfigureAwait(false);
                }
            }
            catch (SmcException e) when (e.Code is not (SmcErrorCode.ClusterUnavailable or SmcErrorCode.ClusterAuthenticationFailed))
            {
                // One that fails is no reason to leave the next as it is.
                await pipeline.WriteErrorAsync(e, writer.ToString()).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Does the work on one; null where nothing was to be done after all.</summary>
    private protected abstract Task<WorkloadInfo?> WorkAsync(
        SmcPipeline pipeline, ClusterWorkloads workloads, WorkloadName workload, CancellationToken cancellationToken);

    /// <summary>A workload in the words of a question.</summary>
    private protected static string Describe(WorkloadInfo info) => $"{info.Name} in the namespace {info.Namespace} of {info.Cluster}";
}
