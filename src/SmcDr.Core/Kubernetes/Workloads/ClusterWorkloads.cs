using System.Globalization;
using System.Text.Json.Nodes;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>Stops workloads of a namespace so that nothing of them is at work any more, and starts them again as they were.</summary>
/// <remarks>
/// All that is remembered stands on the workload itself (<see cref="Suspension"/>). So each call can be made again at whatever moment the one
/// before ended, by anybody: it goes on from what is there.
/// </remarks>
public sealed class ClusterWorkloads
{
    // Whoever changes the object between our reading and our writing is read again; somebody who never stops must not keep us.
    private const int Attempts = 10;

    // A node selector that no node fits: a DaemonSet has no number to set to nought.
    internal const string NoNode = "smcdr/suspended";

    private static readonly KubernetesResource s_autoscalers = Resource("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler");
    private static readonly KubernetesResource s_jobs = Resource("batch", "v1", "jobs", "Job");

    private readonly KubernetesClient _client;
    private readonly string _namespace;
    private readonly WorkloadOptions _options;
    private readonly IOperationObserver _observer;
    private IReadOnlyList<KubernetesObject>? _autoscalers;

    public ClusterWorkloads(
        KubernetesClient client, string @namespace, WorkloadOptions? options = null, IOperationObserver? observer = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentException.ThrowIfNullOrEmpty(@namespace);
        _client = client;
        _namespace = @namespace;
        _options = options ?? new WorkloadOptions();
        _observer = observer ?? NullObserver.Instance;
    }

    /// <summary>How a workload is now.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ResourceNotFound"/>: there is none of this name.</exception>
    public async Task<WorkloadInfo> GetAsync(WorkloadName workload, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(workload);
        return await DescribeAsync(workload, await ReadAsync(workload, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops a workload, remembers how it was, and waits until its pods are gone. One that is stopped already is only waited for.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.WorkloadScaledBack"/>, <see cref="SmcErrorCode.OperationTimedOut"/>: pods do not go, which the message names;
    /// <see cref="SmcErrorCode.WorkloadUnsuitable"/>: something else must be stopped. What is remembered is kept.
    /// </exception>
    public async Task<WorkloadInfo> SuspendAsync(WorkloadName workload, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(workload);
        KubernetesObject item = await ChangeAsync(workload, Stop, cancellationToken).ConfigureAwait(false);
        await WarnOfManagersAsync(workload, item, cancellationToken).ConfigureAwait(false);
        return await WaitUntilGoneAsync(workload, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts a workload with as many replicas as it had. One that was not stopped by <see cref="SuspendAsync"/> is left as it is.</summary>
    /// <param name="wait">Whether it is waited for until all that it should have is ready.</param>
    /// <exception cref="SmcException">With <paramref name="wait"/>, <see cref="SmcErrorCode.PodNotStarted"/>: it is started, and not ready in time.</exception>
    public async Task<WorkloadInfo> ResumeAsync(WorkloadName workload, bool wait, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(workload);
        KubernetesObject item = await ChangeAsync(workload, Start, cancellationToken).ConfigureAwait(false);
        WorkloadInfo info = await DescribeAsync(workload, item, cancellationToken).ConfigureAwait(false);
        if (info.State is "Stopped" or "Stopping")
        {
            _observer.Warning($"'{workload}' in the namespace '{_namespace}' is stopped, and was not stopped by SmcDr: it stays so.");
            return info;
        }

        return wait ? await WaitUntilReadyAsync(workload, cancellationToken).ConfigureAwait(false) : info;
    }

    /// <summary>What stopping a workload would do, in words.</summary>
    public static string DescribeSuspension(WorkloadInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        string autoscaler = info.Autoscaler is null ? "" : $"; the autoscaler {info.Autoscaler} does nothing meanwhile";
        return info.State switch
        {
            "Suspended" or "Stopped" => "Do nothing: it is stopped already",
            "Stopping" => "Wait until its pods are gone",
            _ when info.Name.StartsWith("cronjob/", StringComparison.Ordinal) => "Suspend it, and wait until its running jobs have ended",
            _ when info.Replicas is null => "Suspend it by a node selector that no node fits, and wait until its pods are gone",
            _ => string.Create(CultureInfo.InvariantCulture, $"Scale from {info.Replicas} to 0, and wait until its pods are gone{autoscaler}"),
        };
    }

    /// <summary>What starting a workload would do, in words.</summary>
    public static string DescribeResumption(WorkloadInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        return info.SuspendedTime is null
            ? info.State is "Stopped" or "Stopping" ? "Do nothing: SmcDr has not stopped it" : "Do nothing: it is at work"
            : info.Replicas is 0 ? string.Create(CultureInfo.InvariantCulture, $"Scale from 0 to {info.RememberedReplicas}")
            : info.Replicas is > 0 ? "Forget that it was stopped: somebody else has scaled it back"
            : "Start it";
    }

    internal static Task<KubernetesResource> ResourceOfAsync(KubernetesClient client, WorkloadKind kind, CancellationToken cancellationToken) => kind switch
    {
        WorkloadKind.CronJob => CronJobsAsync(client, cancellationToken),
        WorkloadKind.Deployment => Task.FromResult(Resource("apps", "v1", "deployments", "Deployment")),
        WorkloadKind.StatefulSet => Task.FromResult(Resource("apps", "v1", "statefulsets", "StatefulSet")),
        WorkloadKind.ReplicaSet => Task.FromResult(Resource("apps", "v1", "replicasets", "ReplicaSet")),
        _ => Task.FromResult(Resource("apps", "v1", "daemonsets", "DaemonSet")),
    };

    /// <summary>The pods of a workload that have not ended.</summary>
    internal async Task<List<KubernetesObject>> ListPodsAsync(
        WorkloadName workload, KubernetesObject item, CancellationToken cancellationToken)
    {
        HashSet<string>? jobs = null;
        string? selector;
        if (workload.Kind == WorkloadKind.CronJob)
        {
            // Those that are running; the next one is not made any more once it is suspended.
            jobs = [];
            await foreach (KubernetesObject job in _client.ListAsync(s_jobs, _namespace, null, cancellationToken).ConfigureAwait(false))
            {
                if ((string?)Ownership.ControllerOf(job)?["uid"] == item.Uid && job.Uid is { } uid)
                {
                    jobs.Add(uid);
                }
            }

            selector = "job-name";
        }
        else
        {
            selector = LabelSelector.ToText(item.Raw["spec"]?["selector"]);
        }

        List<KubernetesObject> pods = [];
        await foreach (KubernetesObject pod in _client.ListAsync(
            KubernetesResource.Pods, _namespace, new ListOptions { LabelSelector = selector }, cancellationToken).ConfigureAwait(false))
        {
            // What has ended, as an evicted pod that is still listed, does nothing any more.
            if ((string?)pod.Raw["status"]?["phase"] is not ("Succeeded" or "Failed") && Owns(workload, item, jobs, pod))
            {
                pods.Add(pod);
            }
        }

        return pods;
    }

    private static KubernetesResource Resource(string group, string version, string plural, string kind) =>
        new() { Group = group, Version = version, Plural = plural, Kind = kind, IsNamespaced = true };

    private static async Task<KubernetesResource> CronJobsAsync(KubernetesClient client, CancellationToken cancellationToken)
    {
        // batch/v1 from 1.21 on.
        ResourceCatalog catalog = await client.GetCatalogAsync(false, cancellationToken).ConfigureAwait(false);
        return catalog.Find("batch/v1", "CronJob") ?? catalog.Get("batch/v1beta1", "CronJob");
    }

    private static bool Owns(WorkloadName workload, KubernetesObject item, HashSet<string>? jobs, KubernetesObject pod)
    {
        JsonObject? owner = Ownership.ControllerOf(pod);
        string? uid = (string?)owner?["uid"];
        return workload.Kind switch
        {
            // A Deployment's pods are those of its ReplicaSets, which are called after it and the hash of their template (deployment/sync.go): also
            // where the ReplicaSet has gone already.
            WorkloadKind.Deployment => (string?)owner?["kind"] == "ReplicaSet" &&
                (string?)owner["name"] == $"{item.Name}-{pod.Labels.GetValueOrDefault("pod-template-hash")}",
            WorkloadKind.CronJob => uid is not null && jobs!.Contains(uid),
            _ => uid is not null && uid == item.Uid,
        };
    }

    private static bool HasReplicas(WorkloadName workload) => workload.Kind is not (WorkloadKind.DaemonSet or WorkloadKind.CronJob);

    // What is left out means one (apps/v1, defaults.go).
    internal static int? ReplicasOf(WorkloadName workload, KubernetesObject item) =>
        HasReplicas(workload) ? (int?)item.Raw["spec"]?["replicas"] ?? 1 : null;

    internal static bool IsStopped(WorkloadName workload, KubernetesObject item) => workload.Kind switch
    {
        WorkloadKind.CronJob => (bool?)item.Raw["spec"]?["suspend"] == true,
        WorkloadKind.DaemonSet => item.Raw["spec"]?["template"]?["spec"]?["nodeSelector"]?[NoNode] is not null,
        _ => ReplicasOf(workload, item) == 0,
    };

    private JsonObject? Stop(WorkloadName workload, KubernetesObject item)
    {
        if (workload.Kind == WorkloadKind.ReplicaSet && (string?)Ownership.ControllerOf(item)?["kind"] == "Deployment")
        {
            string owner = (string?)Ownership.ControllerOf(item)!["name"] ?? "";
            throw new SmcException(
                SmcErrorCode.WorkloadUnsuitable,
                $"'{workload}' in the namespace '{_namespace}' belongs to the deployment '{owner}', which would scale it back at once.",
                recommendation: $"Name the deployment in the site file: deployment/{owner}.",
                target: workload.ToString());
        }

        if (IsStopped(workload, item))
        {
            return null;
        }

        Suspension suspension = new(ReplicasOf(workload, item), TruncatedNow(), _options.Reason);
        return Patch(item, suspension.ToJson(), workload.Kind switch
        {
            WorkloadKind.CronJob => new JsonObject { ["suspend"] = true },
            WorkloadKind.DaemonSet => NodeSelector("true"),
            _ => new JsonObject { ["replicas"] = 0 },
        });
    }

    private static JsonObject? Start(WorkloadName workload, KubernetesObject item)
    {
        if (Suspension.Of(item) is not { } suspension)
        {
            return null;
        }

        return Patch(item, null, !IsStopped(workload, item) ? null : workload.Kind switch
        {
            WorkloadKind.CronJob => new JsonObject { ["suspend"] = false },
            WorkloadKind.DaemonSet => NodeSelector(null),
            _ => new JsonObject { ["replicas"] = suspension.Replicas ?? 1 },
        });
    }

    private static JsonObject NodeSelector(string? value) => new()
    {
        ["template"] = new JsonObject { ["spec"] = new JsonObject { ["nodeSelector"] = new JsonObject { [NoNode] = value } } },
    };

    private static JsonObject Patch(KubernetesObject item, string? annotation, JsonObject? spec)
    {
        JsonObject patch = new()
        {
            ["metadata"] = new JsonObject
            {
                // Refused where somebody else was quicker: what would be remembered is no longer true then.
                ["resourceVersion"] = item.ResourceVersion,
                ["annotations"] = new JsonObject { [Suspension.Annotation] = annotation },
            },
        };
        if (spec is not null)
        {
            patch["spec"] = spec;
        }

        return patch;
    }

    private static DateTimeOffset TruncatedNow() => DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds());

    private async Task<KubernetesObject> ReadAsync(WorkloadName workload, CancellationToken cancellationToken) => await _client.GetAsync(
        await ResourceOfAsync(_client, workload.Kind, cancellationToken).ConfigureAwait(false), _namespace, workload.Name, cancellationToken).ConfigureAwait(false);

    private async Task<KubernetesObject> ChangeAsync(
        WorkloadName workload, Func<WorkloadName, KubernetesObject, JsonObject?> change, CancellationToken cancellationToken)
    {
        KubernetesResource resource = await ResourceOfAsync(_client, workload.Kind, cancellationToken).ConfigureAwait(false);
        for (int attempt = 1; ; attempt++)
        {
            KubernetesObject item = await _client.GetAsync(resource, _namespace, workload.Name, cancellationToken).ConfigureAwait(false);
            if (change(workload, item) is not { } patch)
            {
                return item;
            }

            try
            {
                return await _client.PatchAsync(
                    resource, _namespace, workload.Name, PatchKind.Merge, patch, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ResourceConflict && attempt < Attempts)
            {
                _observer.Verbose($"'{workload}' was changed by somebody else meanwhile; it is read again.");
            }
        }
    }

    private async Task<WorkloadInfo> DescribeAsync(WorkloadName workload, KubernetesObject item, CancellationToken cancellationToken) => Describe(
        workload,
        item,
        await ListPodsAsync(workload, item, cancellationToken).ConfigureAwait(false),
        await FindAutoscalerAsync(workload, cancellationToken).ConfigureAwait(false));

    private WorkloadInfo Describe(WorkloadName workload, KubernetesObject item, List<KubernetesObject> pods, KubernetesObject? autoscaler)
    {
        Suspension? suspension = Suspension.Of(item);
        bool stopped = IsStopped(workload, item);
        int? replicas = ReplicasOf(workload, item);
        int wanted = replicas ?? (workload.Kind == WorkloadKind.CronJob ? 0 : (int?)item.Raw["status"]?["desiredNumberScheduled"] ?? 0);
        int ready = pods.Count(pod => pod.DeletionTime is null && PodTrouble.IsReady(pod));

        // How many pods a DaemonSet should have stands in its status alone, which is of before the last change until the controller has seen that.
        bool isKnown = workload.Kind != WorkloadKind.DaemonSet
            || ((long?)item.Raw["status"]?["observedGeneration"] ?? 0) >= ((long?)item.Raw["metadata"]?["generation"] ?? 0);
        return new WorkloadInfo
        {
            Name = workload.ToString(),
            State = !stopped ? isKnown && ready >= wanted ? "Running" : "NotReady"
                : pods.Count > 0 ? "Stopping"
                : suspension is not null ? "Suspended" : "Stopped",
            Replicas = replicas,
            ReadyCount = ready,
            PodCount = pods.Count,
            RememberedReplicas = suspension?.Replicas,
            SuspendedTime = suspension?.Time,
            SuspendedBy = suspension?.Reason,
            Autoscaler = autoscaler is null ? null : string.Create(
                CultureInfo.InvariantCulture,
                $"{autoscaler.Name} ({(int?)autoscaler.Raw["spec"]?["minReplicas"] ?? 1} to {(int?)autoscaler.Raw["spec"]?["maxReplicas"]})"),
            ManagedBy = Ownership.ManagerOf(item),
            Namespace = _namespace,
            Cluster = _client.Access.Display,
            Site = _options.Site,
            Region = _options.Region,
        };
    }

    private async Task<KubernetesObject?> FindAutoscalerAsync(WorkloadName workload, CancellationToken cancellationToken)
    {
        if (!HasReplicas(workload))
        {
            return null;
        }

        if (_autoscalers is null)
        {
            List<KubernetesObject> found = [];
            try
            {
                await foreach (KubernetesObject item in _client.ListAsync(s_autoscalers, _namespace, null, cancellationToken).ConfigureAwait(false))
                {
                    found.Add(item);
                }
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.ClusterForbidden or SmcErrorCode.ResourceNotFound)
            {
                _observer.Verbose($"Whether autoscalers scale the workloads is not known: {e.Message}");
            }

            _autoscalers = found;
        }

        return _autoscalers.FirstOrDefault(item => item.Raw["spec"]?["scaleTargetRef"] is { } target &&
            (string?)target["kind"] == workload.Kind.ToString() && (string?)target["name"] == workload.Name);
    }

    private async Task WarnOfManagersAsync(WorkloadName workload, KubernetesObject item, CancellationToken cancellationToken)
    {
        if (Ownership.ManagerOf(item) is { } manager)
        {
            _observer.Warning($"'{workload}' in the namespace '{_namespace}' belongs to {manager}, which may scale it back: pause that for as long as it is to be stopped.");
        }

        if (await FindAutoscalerAsync(workload, cancellationToken).ConfigureAwait(false) is not { } autoscaler)
        {
            return;
        }

        // An autoscaler leaves a target alone that has no replicas, unless its own least is none (podautoscaler/horizontal.go, reconcileAutoscaler).
        // KEDA scales from none whatever that says.
        if ((int?)autoscaler.Raw["spec"]?["minReplicas"] == 0 || autoscaler.Labels.ContainsKey("scaledobject.keda.sh/name"))
        {
            _observer.Warning(
                $"The autoscaler '{autoscaler.Name}' scales '{workload}' also from no replicas: pause it (of KEDA, by the annotation autoscaling.keda.sh/paused).");
        }
        else
        {
            _observer.Verbose($"The autoscaler '{autoscaler.Name}' of '{workload}' does nothing while there are no replicas.");
        }
    }

    private async Task<WorkloadInfo> WaitUntilGoneAsync(WorkloadName workload, CancellationToken cancellationToken)
    {
        string activity = $"Stop {workload}";
        TimeSpan start = Elapsed();
        try
        {
            while (true)
            {
                KubernetesObject item = await ReadAsync(workload, cancellationToken).ConfigureAwait(false);
                if (!IsStopped(workload, item))
                {
                    throw ScaledBack(workload, item);
                }

                List<KubernetesObject> pods = await ListPodsAsync(workload, item, cancellationToken).ConfigureAwait(false);
                if (pods.Count == 0)
                {
                    return Describe(workload, item, pods, await FindAutoscalerAsync(workload, cancellationToken).ConfigureAwait(false));
                }

                if (Elapsed() - start > _options.Timeout)
                {
                    throw StillThere(workload, pods);
                }

                _observer.Progress(new OperationProgress(
                    activity, $"Waiting for {string.Join(", ", pods.Take(3).Select(static pod => pod.Name))}{(pods.Count > 3 ? " and others" : "")}"));
                await Task.Delay(_options.PollInterval, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _observer.Progress(new OperationProgress(activity, "") { IsCompleted = true });
        }
    }

    private async Task<WorkloadInfo> WaitUntilReadyAsync(WorkloadName workload, CancellationToken cancellationToken)
    {
        string activity = $"Start {workload}";
        TimeSpan start = Elapsed();
        try
        {
            while (true)
            {
                KubernetesObject item = await ReadAsync(workload, cancellationToken).ConfigureAwait(false);
                List<KubernetesObject> pods = await ListPodsAsync(workload, item, cancellationToken).ConfigureAwait(false);
                WorkloadInfo info = Describe(workload, item, pods, await FindAutoscalerAsync(workload, cancellationToken).ConfigureAwait(false));
                if (info.State == "Running")
                {
                    return info;
                }

                if (Elapsed() - start > _options.Timeout)
                {
                    string why = string.Join("; ", pods.Where(static pod => !PodTrouble.IsReady(pod)).Take(3).Select(static pod => $"{pod.Name}: {PodTrouble.Describe(pod)}"));
                    throw new SmcException(
                        SmcErrorCode.PodNotStarted,
                        string.Create(CultureInfo.InvariantCulture, $"'{workload}' in the namespace '{_namespace}' is started, and {info.ReadyCount} of its {info.Replicas} pods are ready after {_options.Timeout.TotalSeconds:0} seconds{(why.Length > 0 ? $" ({why})" : "")}."),
                        target: workload.ToString());
                }

                _observer.Progress(new OperationProgress(
                    activity, string.Create(CultureInfo.InvariantCulture, $"{info.ReadyCount} pods are ready"), info.ReadyCount, info.Replicas, ProgressUnit.Items));
                await Task.Delay(_options.PollInterval, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _observer.Progress(new OperationProgress(activity, "") { IsCompleted = true });
        }
    }

    private static TimeSpan Elapsed() => TimeSpan.FromMilliseconds(Environment.TickCount64);

    private SmcException ScaledBack(WorkloadName workload, KubernetesObject item)
    {
        string who = Ownership.LastScaledBy(item) is { Length: > 0 } manager ? $"'{manager}'" : "somebody else";
        string? owner = Ownership.ManagerOf(item);
        return new SmcException(
            SmcErrorCode.WorkloadScaledBack,
            string.Create(CultureInfo.InvariantCulture, $"'{workload}' in the namespace '{_namespace}' was stopped, and {who} has started it again{(ReplicasOf(workload, item) is { } replicas ? $" with {replicas} replicas" : "")}."),
            recommendation: owner is null ? null : $"It belongs to {owner}: pause that, then run the command again.",
            target: workload.ToString());
    }

    private SmcException StillThere(WorkloadName workload, List<KubernetesObject> pods) => new(
        SmcErrorCode.OperationTimedOut,
        string.Create(CultureInfo.InvariantCulture, $"Pods of '{workload}' in the namespace '{_namespace}' are still there after {_options.Timeout.TotalSeconds:0} seconds: {string.Join("; ", pods.Take(5).Select(static pod => $"{pod.Name} ({PodTrouble.DescribeEnd(pod)})"))}."),
        recommendation: workload.Kind == WorkloadKind.CronJob
            ? "Wait until its jobs have ended, or delete them, then run the command again."
            : "Look at what keeps them (kubectl describe pod). Where their node is gone, make sure that it is switched off before they are deleted by force: they may be at work there.",
        target: workload.ToString());
}
