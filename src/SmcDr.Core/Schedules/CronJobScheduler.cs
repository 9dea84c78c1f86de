using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Kubernetes.Jobs;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>
/// Schedules as CronJobs. The site file goes to the cluster as a ConfigMap, since it holds no secrets, and to the same path as here, so that what it
/// names relative to itself
/// is found there as well.
/// </summary>
internal sealed class CronJobScheduler : IScheduler
{
    public const string SiteLabel = "smcdr/site";
    public const string TaskAnnotation = "smcdr/task";
    private const string Purpose = "schedule";
    private const string SiteKey = "smcdr.yaml";

    // A controller that was away for longer makes up for nothing: the next run is nearer then, and the monitor tells. It gives up where it counts
    // more than 100 runs that were
    // missed within this time, which even one a minute does not come to.
    private const int StartingDeadlineSeconds = 3600;

    private readonly Site _site;
    private readonly KubernetesSettings _settings;
    private readonly Func<CancellationToken, Task<KubernetesClient>>? _connect;
    private readonly string _name;
    private readonly string _siteText;

    /// <param name="site">The site.</param>
    /// <param name="siteText">Its file, as it is.</param>
    /// <param name="connect">Connects to the cluster; null where nothing is registered.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ScheduleUnsuitable"/>: no pod could do the site's work.</exception>
    public CronJobScheduler(Site site, string siteText, Func<CancellationToken, Task<KubernetesClient>>? connect)
    {
        _site = site;
        _settings = site.GetKubernetes();
        _connect = connect;
        _name = ScheduleNames.Prefix(site);
        _siteText = siteText;
    }

    /// <inheritdoc/>
    public ScheduleKind Kind => ScheduleKind.CronJob;

    /// <inheritdoc/>
    public string Target => $"the namespace '{_settings.Namespace}'{(_settings.Context is { } context ? $" of '{context}'" : "")}";

    private string Selector => $"{HelperPod.PurposeLabel}={Purpose},{SiteLabel}={ScheduleNames.OfSite(_site)}";

    /// <inheritdoc/>
    public IReadOnlyList<ScheduleDocument> Write(IReadOnlyList<ScheduledWork> work)
    {
        SiteSecrets.RefuseVaults(_site);
        RefuseWhatNoPodHas(work);
        return
        [
            Document(null, CreateSite()),
            .. work.Select(one => Document(one, CreateJob(one, "batch/v1", hasZone: true))),
        ];
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<(string Name, string State)>> RegisterAsync(
        IReadOnlyList<ScheduleDocument> documents, IOperationObserver observer, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await _connect!(cancellationToken).ConfigureAwait(false);
        KubernetesResource jobs = await FindJobsAsync(client, cancellationToken).ConfigureAwait(false);
        bool hasZone = await HasZoneAsync(client, cancellationToken).ConfigureAwait(false);
        if (!hasZone && !ScheduledWork.ZoneOf(_site).HasSameRules(TimeZoneInfo.Utc))
        {
            throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable,
                $"CronJobs of this cluster know no time zones, and the site's schedules are in {ScheduledWork.ZoneNameOf(_site)}: Kubernetes has them since 1.25.",
                recommendation: $"Write the schedules in UTC, and take 'timeZone' out of '{_site.Path}'.");
        }

        if (SiteSecrets.VariablesOf(_site) is { Count: > 0 } variables && _settings.Job!.EnvironmentSecrets.Count == 0)
        {
            observer.Warning(
                $"The site's secrets are in the environment variables {string.Join(", ", variables)}, and the jobs have none: name a Secret by 'job: {{ environmentSecrets: [ … ] }}' of the region's kubernetes.");
        }

        List<(string Name, string State)> states = [];
        foreach (ScheduleDocument document in documents)
        {
            (KubernetesResource resource, JsonObject item) = document.Work is { } work
                ? (jobs, CreateJob(work, jobs.ApiVersion, hasZone))
                : (KubernetesResource.ConfigMaps, CreateSite());
            KubernetesObject? before = await client.TryGetAsync(resource, _settings.Namespace, document.Name, cancellationToken).ConfigureAwait(false);
            ApplyResult after = await client.ApplyAsync(
                resource, new KubernetesObject(item), new ApplyOptions { Force = true }, cancellationToken).ConfigureAwait(false);
            states.Add((document.Name, before is null ? "Created" : IsSame(before, after.Item) ? "Same" : "Changed"));
        }

        HashSet<string> kept = [.. documents.Select(static document => document.Name)];
        foreach (KubernetesResource resource in new[] { jobs, KubernetesResource.ConfigMaps })
        {
            await foreach (KubernetesObject item in client
                .ListAsync(resource, _settings.Namespace, new ListOptions { LabelSelector = Selector }, cancellationToken).ConfigureAwait(false))
            {
                if (!kept.Contains(item.Name) &&
                    await client.DeleteAsync(resource, _settings.Namespace, item.Name, new DeleteOptions { Uid = item.Uid }, cancellationToken).ConfigureAwait(false))
                {
                    states.Add((item.Name, "Removed"));
                }
            }
        }

        return states;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken)
    {
        using KubernetesClient client = await _connect!(cancellationToken).ConfigureAwait(false);
        List<string> names = [];
        foreach (KubernetesResource resource in new[] { await FindJobsAsync(client, cancellationToken).ConfigureAwait(false), KubernetesResource.ConfigMaps })
        {
            await foreach (KubernetesObject item in client
                .ListAsync(resource, _settings.Namespace, new ListOptions { LabelSelector = Selector }, cancellationToken).ConfigureAwait(false))
            {
                names.Add(item.Name);
            }
        }

        return names;
    }

    private static ScheduleDocument Document(ScheduledWork? work, JsonObject item)
    {
        string name = (string)item["metadata"]!["name"]!;
        return new ScheduleDocument(
            work,
            name,
            work is null ? "" : $"smcdr {string.Join(' ', ArgumentsOf(item).Select(static one => (string?)one))}",
            [($"{name}.yaml", Encoding.UTF8.GetString(YamlText.Write(item)))]);
    }

    private static JsonArray ArgumentsOf(JsonObject job) =>
        job["spec"]!["jobTemplate"]!["spec"]!["template"]!["spec"]!["containers"]![0]!["args"]!.AsArray();

    /// <summary>Whether an object is as it was: what the server keeps of who applied it changes with each apply.</summary>
    private static bool IsSame(KubernetesObject before, KubernetesObject after) =>
        before.Uid == after.Uid && JsonNode.DeepEquals(Essence(before), Essence(after));

    private static JsonObject Essence(KubernetesObject item) => new()
    {
        ["labels"] = item.Metadata?["labels"]?.DeepClone(),
        ["annotations"] = item.Metadata?["annotations"]?.DeepClone(),
        ["spec"] = item.Raw["spec"]?.DeepClone(),
        ["data"] = item.Raw["data"]?.DeepClone(),
    };

    /// <summary>CronJob left beta in 1.21, and its beta was removed in 1.25.</summary>
    private static async Task<KubernetesResource> FindJobsAsync(KubernetesClient client, CancellationToken cancellationToken)
    {
        ResourceCatalog catalog = await client.GetCatalogAsync(false, cancellationToken).ConfigureAwait(false);
        return catalog.Find("batch/v1", "CronJob") ?? catalog.Get("batch/v1beta1", "CronJob");
    }

    private static async Task<bool> HasZoneAsync(KubernetesClient client, CancellationToken cancellationToken)
    {
        string[] parts = (await client.GetVersionAsync(cancellationToken).ConfigureAwait(false)).TrimStart('v').Split('.', '-', '+');
        return parts.Length > 1 && int.TryParse(parts[0], out int major) && int.TryParse(parts[1], out int minor) && (major, minor).CompareTo((1, 25)) >= 0;
    }

    private void RefuseWhatNoPodHas(IReadOnlyList<ScheduledWork> work)
    {
        string[] here = [.. work.Select(static one => one.Task).Where(static task => task is "fileStore" or "recoveryTest")];
        (string Problem, string Advice)? problem =
            _settings.Job?.Image is null ? ("The site does not name the container image that jobs run.",
                "Add 'job: { image: … }' to the region's kubernetes in the site file.")
            : _settings.Kubeconfig is not null || _settings.Context is not null
                ? ("The site names a kubeconfig or a context, which a pod has not: there the pod's own account is used.",
                    "Register a site file without 'kubeconfig' and 'context', and name the cluster by KUBECONFIG.")
            : !_site.Path.StartsWith('/') ? ($"The site file is at '{_site.Path}', and no pod can have it there.", "Register it from Linux.")
            : new[] { _site.Repository.Location }.Concat(_site.Repository.Copies).FirstOrDefault(static one => ObjectStoreLocation.Parse(one) is DirectoryLocation) is { } directory
                ? ($"The repository or a copy is at {directory}, a directory of this host.", "Keep it in S3 for jobs in a cluster.")
            : here.Length > 0
                ? ($"No pod can do {string.Join(" and ", here)}: that needs this host's directories, or the server's programs.",
                    "Leave them out by -Task (--task), and register them on a host with -Kind SystemdTimer or Crontab (--kind).")
            : FindUnmountedFile() is { } file
                ? ($"The secret file '{file}' is in no directory that the jobs have.", "Give its directory a Secret of the cluster by 'job: { mounts: [ { path: …, secret: … } ] }' of the region's kubernetes.")
            : _settings.Job.Mounts.FirstOrDefault(mount => PathText.IsWithin(_site.Path, mount.Path) && !IsBesideSite(mount)) is { } around
                ? ($"The site file '{_site.Path}' lies below '{around.Path}', where the jobs have something else.", "Keep the site file beside its secret files, or elsewhere.")
            : null;
        if (problem is { } found)
        {
            throw new SmcException(SmcErrorCode.ScheduleUnsuitable, found.Problem, recommendation: found.Advice, target: _site.Name);
        }
    }

    private string? FindUnmountedFile() => SiteSecrets.Of(_site).Where(static one => one.Scheme == SecretScheme.File).Select(static one => one.Name)
        .FirstOrDefault(file => !_settings.Job!.Mounts.Any(mount => PathText.IsWithin(file, mount.Path)));

    /// <summary>Whether a mount is the site file's own directory, in which nothing else can be mounted since it is read only.</summary>
    private bool IsBesideSite(JobMountSettings mount) => mount.Claim is null && Path.GetDirectoryName(_site.Path) == Path.TrimEndingDirectorySeparator(mount.Path);

    private JsonObject Metadata(string name, string? task)
    {
        JsonObject metadata = new()
        {
            ["name"] = name,
            ["namespace"] = _settings.Namespace,
            ["labels"] = Labels(),
        };
        if (task is not null)
        {
            metadata["annotations"] = new JsonObject { [TaskAnnotation] = task };
        }

        return metadata;
    }

    private JsonObject Labels() => new()
    {
        ["app.kubernetes.io/managed-by"] = "smcdr",
        [HelperPod.PurposeLabel] = Purpose,
        [SiteLabel] = ScheduleNames.OfSite(_site),
    };

    private JsonObject CreateSite() => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "ConfigMap",
        ["metadata"] = Metadata(_name, null),
        ["data"] = new JsonObject { [SiteKey] = _siteText },
    };

    private JsonObject CreateJob(ScheduledWork work, string apiVersion, bool hasZone)
    {
        JsonObject spec = new()
        {
            ["schedule"] = work.Schedule.ToCronJob(),
            // One that is late must not be joined by the next.
            ["concurrencyPolicy"] = "Forbid",
            ["startingDeadlineSeconds"] = StartingDeadlineSeconds,
            ["successfulJobsHistoryLimit"] = 3,
            ["failedJobsHistoryLimit"] = 3,
            ["jobTemplate"] = new JsonObject
            {
                ["metadata"] = new JsonObject { ["labels"] = Labels() },
                ["spec"] = new JsonObject
                {
                    // The program tries again by itself where that helps, and has told of it when it ends.
                    ["backoffLimit"] = 0,
                    // One that hangs would keep all that follow from beginning.
                    ["activeDeadlineSeconds"] = (long)ScheduledWork.LimitOf(_site, work.Task).TotalSeconds,
                    ["template"] = new JsonObject { ["metadata"] = new JsonObject { ["labels"] = Labels() }, ["spec"] = CreatePod(work.Task) },
                },
            },
        };
        if (hasZone)
        {
            spec["timeZone"] = _site.Schedules.TimeZone ?? "Etc/UTC";
        }

        return new JsonObject
        {
            ["apiVersion"] = apiVersion,
            ["kind"] = "CronJob",
            ["metadata"] = Metadata(ScheduleNames.Of(_site, work.Task), work.Task),
            ["spec"] = spec,
        };
    }

    private JsonObject CreatePod(string task)
    {
        JobSettings job = _settings.Job!;
        JsonArray mounts = [new JsonObject { ["name"] = "tmp", ["mountPath"] = "/tmp" }];
        JsonArray volumes = [new JsonObject { ["name"] = "tmp", ["emptyDir"] = new JsonObject() }];
        if (!job.Mounts.Any(IsBesideSite))
        {
            mounts.Add((JsonNode)new JsonObject
            {
                ["name"] = "site",
                ["mountPath"] = _site.Path,
                ["subPath"] = Path.GetFileName(_site.Path),
                ["readOnly"] = true,
            });
            volumes.Add((JsonNode)new JsonObject { ["name"] = "site", ["configMap"] = SiteSource() });
        }

        foreach ((int number, JobMountSettings settings) in job.Mounts.Index())
        {
            string name = FormattableString.Invariant($"mount-{number}");
            JobMount mount = settings.ToMount();
            mounts.Add((JsonNode)JobPod.Mount(name, mount));
            volumes.Add((JsonNode)(IsBesideSite(settings)
                ? JobPod.VolumeWith(name, mount, new JsonObject { ["configMap"] = SiteSource() })
                : JobPod.Volume(name, mount)));
        }

        JsonObject security = JobPod.Security();
        security["runAsUser"] = JobPod.UserId;
        security["runAsGroup"] = JobPod.UserId;

        JsonObject pod = new()
        {
            ["restartPolicy"] = "Never",
            ["securityContext"] = security,
            ["containers"] = new JsonArray(new JsonObject
            {
                ["name"] = "smcdr",
                ["image"] = job.Image,
                ["args"] = new JsonArray("--site", _site.Path, "schedule", "run", task),
                ["env"] = new JsonArray(new JsonObject { ["name"] = "SMCDR_STATE_DIR", ["value"] = "/tmp" }),
                ["envFrom"] = JobPod.EnvironmentFrom(job.EnvironmentSecrets),
                ["resources"] = JobPod.Resources(job.Cpu, job.Memory, job.MemoryLimit),
                ["securityContext"] = JobPod.ContainerSecurity(),
                ["volumeMounts"] = mounts,
            }),
            ["volumes"] = volumes,
        };
        JobPod.SetAccounts(pod, job.ServiceAccount, job.ImagePullSecrets);
        return pod;
    }

    /// <summary>The site file under the name that it has here.</summary>
    private JsonObject SiteSource() => new()
    {
        ["name"] = _name,
        ["items"] = new JsonArray(new JsonObject { ["key"] = SiteKey, ["path"] = Path.GetFileName(_site.Path) }),
    };
}
