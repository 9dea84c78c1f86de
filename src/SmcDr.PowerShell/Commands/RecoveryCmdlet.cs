using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Text;
using SmcDr.Core.Objectives;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that put a database cluster back, on this host or in its workload of Kubernetes.</summary>
public abstract class RecoveryCmdlet : SiteCmdlet
{
    /// <summary>
    /// The data directory to restore to, on this host. Without it, the site's: where the site's database runs in a workload of Kubernetes, that of its volume.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? DataDirectory { get; set; }

    /// <summary>
    /// Where tablespaces go, such as @{ fast = '/ssd/fast' }: by a tablespace's name, its object id or the directory that it had. One
    /// that is not listed goes where it was.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public IDictionary? TablespaceLocation { get; set; }

    /// <summary>The database cluster, by PostgreSQL's system identifier, where the repository holds several. A backup of another one is refused.</summary>
    [Parameter]
    public ulong? SystemId { get; set; }

    /// <summary>Server settings for the start at the end, such as @{ port = 5433 }; they win over the cluster's own and are not stored in it.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public IDictionary? Setting { get; set; }

    /// <summary>How many requests to the repository run at a time. Without it, a number that fits this machine.</summary>
    [Parameter]
    [ValidateRange(1, 64)]
    public int? Parallelism { get; set; }

    /// <summary>
    /// Moves what is in the data directory aside instead of refusing to touch it, and abandons an interrupted recovery to another
    /// target. Nothing is deleted, and a server that runs in the directory is still refused.
    /// </summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>
    /// Makes the data directory right in place: what is right in it, by its digests, is kept, and the rest overwritten or removed. Fast where
    /// little has changed, and no copy of what was there stays, its write-ahead log included. With -Force also where the directory is that of
    /// another cluster.
    /// </summary>
    [Parameter]
    public SwitchParameter Delta { get; set; }

    /// <summary>
    /// Makes a side instance of it, isolated from production for good: it archives nothing, follows and subscribes to nobody, runs no jobs,
    /// and is reached by its own account alone, through a socket in -DataDirectory, which must be given. Its tablespaces lie beside that.
    /// </summary>
    [Parameter]
    public SwitchParameter AsSideInstance { get; set; }

    /// <summary>The port of the side instance. Without it, 5432, which clashes with nobody's where it does not listen.</summary>
    [Parameter]
    [ValidateRange(1, 65535)]
    public int? Port { get; set; }

    /// <summary>Lets the side instance take connections at 127.0.0.1 too, with the passwords of its users.</summary>
    [Parameter]
    public SwitchParameter ListenLocally { get; set; }

    /// <summary>Leaves the server stopped at the end, and the writers that were stopped for the recovery.</summary>
    [Parameter]
    public SwitchParameter NoStart { get; set; }

    /// <summary>
    /// Does not stop the site's writers, which are workloads of its Kubernetes cluster: where the cluster does not answer, and it is known that they
    /// do not write. They are never touched for a side instance, or for another directory than the site's.
    /// </summary>
    [Parameter]
    public SwitchParameter LeaveWriters { get; set; }

    /// <summary>Plans the recovery, asks, carries it out and writes the result.</summary>
    /// <param name="pipeline">The pipeline.</param>
    /// <param name="repository">The site's repository, where it was opened for reading already.</param>
    /// <param name="backupId">The base backup; the newest that does where null.</param>
    /// <param name="target">To where.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    private protected async Task RecoverAsync(
        SmcPipeline pipeline, Repository? repository, string? backupId, RecoveryTarget target, CancellationToken cancellationToken)
    {
        string? directory = DataDirectory is null
            ? null
            : await FilePaths.ResolveAsync(pipeline, DataDirectory).ConfigureAwait(false);
        Dictionary<string, string> tablespaces = [];
        foreach ((string tablespace, string location) in ReadPairs(TablespaceLocation, nameof(TablespaceLocation)))
        {
            tablespaces[tablespace] = await FilePaths.ResolveAsync(pipeline, location).ConfigureAwait(false);
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        repository ??= await site.OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        RecoveryRequest request = site.CreateRecoveryRequest(repository, directory) with
        {
            BackupId = backupId,
            SystemId = SystemId,
            Target = target,
            Tablespaces = tablespaces,
            Settings = ReadPairs(Setting, nameof(Setting)),
            Parallelism = Parallelism,
            Force = Force,
            Delta = Delta,
            Isolation = ServerIsolation.Create(AsSideInstance, Port, ListenLocally, directory, site.GetDatabase().DataDirectory),
            KeepRunning = !NoStart,
            Writers = LeaveWriters ? null : site.CreateWritersOf(directory, pipeline),
        };
        if (site.RecoversInPod(directory))
        {
            PodRecoveryPlan inPod = await PodRecovery.PlanAsync(
                site.CreatePodRecoveryRequest(request, SiteArguments.CreateSecrets(pipeline), pipeline), pipeline, cancellationToken).ConfigureAwait(false);
            if (await ConfirmAsync(pipeline, inPod.Request.Workload.ToString(), target, inPod.Describe()).ConfigureAwait(false))
            {
                await FinishAsync(await PodRecovery.ExecuteAsync(inPod, pipeline, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
            }

            return;
        }

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, pipeline, cancellationToken).ConfigureAwait(false);
        if (await ConfirmAsync(pipeline, plan.DataDirectory, target, plan.Describe()).ConfigureAwait(false))
        {
            await FinishAsync(await DatabaseRecovery.ExecuteAsync(plan, pipeline, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        }

        async Task FinishAsync(RecoveryResult result)
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
            await request.Repository.NoteAsync(site.Name, result, pipeline, cancellationToken).ConfigureAwait(false);
        }
    }

    private static Task<bool> ConfirmAsync(SmcPipeline pipeline, string place, RecoveryTarget target, IEnumerable<string> steps)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"Recover the database cluster in '{place}' to {target}.");
        foreach (string line in steps)
        {
            text.AppendLine().Append("  - ").Append(line);
        }

        string description = text.ToString();
        return pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this plan out?", $"Recover the database cluster in '{place}'");
    }

    private static Dictionary<string, string> ReadPairs(IDictionary? pairs, string parameter)
    {
        Dictionary<string, string> result = [];
        foreach (DictionaryEntry pair in pairs ?? new Hashtable())
        {
            string key = LanguagePrimitives.ConvertTo<string>(pair.Key);
            string value = LanguagePrimitives.ConvertTo<string>(pair.Value);
            result[key] = key.Length > 0 && value.Length > 0
                ? value
                : throw new SmcException(
                    SmcErrorCode.ArgumentInvalid, $"An entry of -{parameter} has no name or no value.", target: key);
        }

        return result;
    }
}
