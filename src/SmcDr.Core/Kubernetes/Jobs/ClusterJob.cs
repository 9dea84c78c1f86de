using System.Net.Sockets;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>Runs a command of <c>smcdr</c> in a pod, and follows it as if it ran here.</summary>
/// <remarks>
/// What is told comes through the pod's log, which is read again where a connection broke. Nothing of it is believed before the command has said that
/// it is over: a log that just ends is an error.
/// </remarks>
public sealed class ClusterJob
{
    private static readonly KubernetesResource s_jobs = new() { Group = "batch", Version = "v1", Plural = "jobs", Kind = "Job", IsNamespaced = true };
    private static readonly KubernetesResource s_deployments =
        new() { Group = "apps", Version = "v1", Plural = "deployments", Kind = "Deployment", IsNamespaced = true };

    /// <summary>Why a pod never starts, whatever is waited for (kubelet, pkg/kubelet/images/types.go).</summary>
    private static readonly string[] s_hopeless = ["ErrImageNeverPull", "InvalidImageName"];

    /// <summary>The same of an image that runs as root (kubelet, pkg/kubelet/kuberuntime/security_context.go).</summary>
    private const string RefusedRoot = "runAsNonRoot";

    /// <summary>Lines of a log among which there is a status of a stream, which comes every five seconds.</summary>
    private const int KeptStatuses = 3;

    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly KubernetesClient _client;
    private readonly JobSpec _spec;
    private readonly JobOptions _options;
    private readonly IOperationObserver _observer;
    private bool _isPodGone;

    public ClusterJob(KubernetesClient client, JobSpec spec, JobOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(spec);
        (_client, _spec, _options, _observer) = (client, spec, options, observer);
    }

    private string JobDisplay => $"the Job '{_spec.Namespace}/{_spec.Name}'";

    private string DeploymentDisplay => $"the Deployment '{_spec.Namespace}/{_spec.Name}'";

    /// <summary>Runs the command as a Job to its end.</summary>
    /// <param name="onResult">Takes each result when it comes.</param>
    /// <returns>The command's exit code, where it did not fail.</returns>
    /// <exception cref="SmcException">
    /// What the command failed with; <see cref="SmcErrorCode.PodNotStarted"/>, and nothing is left; <see cref="SmcErrorCode.JobFailed"/>: its pod ended
    /// or went without a word.
    /// </exception>
    public async Task<int> RunAsync<T>(Func<T, Task> onResult, CancellationToken cancellationToken)
    {
        JobEvents<T> events = new(_observer, _options.Prefix, onResult);
        bool hasStarted = false;
        bool isOver = false;
        try
        {
            KubernetesObject job = await CreateAsync(cancellationToken).ConfigureAwait(false);
            KubernetesObject pod = await StartAsync(s_jobs, job, cancellationToken).ConfigureAwait(false);
            hasStarted = true;
            _observer.Verbose($"{Capitalize(JobDisplay)} runs in the pod '{pod.Name}'. {FollowHint("job")}");
            await FollowAsync(pod, events, static _ => false, null, cancellationToken).ConfigureAwait(false);
            isOver = true;
            return events.Failure is { } failure ? throw failure.ToException(SmcErrorCode.JobFailed) : events.ExitCode ?? 0;
        }
        catch (SmcException) when (_isPodGone)
        {
            // The Job would make another pod, which nobody follows.
            await RemoveAsync(s_jobs, JobDisplay).ConfigureAwait(false);
            throw;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.JobFailed || isOver || !(hasStarted || cancellationToken.IsCancellationRequested))
        {
            throw;
        }
        catch (OperationCanceledException) when (_options.CancelOnStop && cancellationToken.IsCancellationRequested)
        {
            await RemoveAsync(s_jobs, JobDisplay).ConfigureAwait(false);
            throw;
        }
        catch
        {
            _observer.Warning($"{Capitalize(JobDisplay)} goes on in the cluster. {FollowHint("job")} {EndHint("job")} ends it.");
            throw;
        }
        finally
        {
            events.Complete();
        }
    }

    /// <summary>
    /// Has the command run as a Deployment, which starts it again wherever it ends, until it has told a result that is good: then it is left to the cluster.
    /// One that is there and the same is left as it is; one that differs is replaced.
    /// </summary>
    /// <param name="isGood">Whether a result says that the command does what it is for.</param>
    /// <param name="timeout">How long that may take.</param>
    /// <exception cref="SmcException">What the command failed with before that; a Deployment that was made for it is removed again.</exception>
    public async Task<T> DeployAsync<T>(Func<T, bool> isGood, TimeSpan timeout, CancellationToken cancellationToken)
    {
        T? good = default;
        bool found = false;
        JobEvents<T> events = new(_observer, _options.Prefix, result =>
        {
            (good, found) = (result, isGood(result));
            return Task.CompletedTask;
        });
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        bool isNew = false;
        bool isAsked = false;
        try
        {
            KubernetesObject? before = await _client.TryGetAsync(s_deployments, _spec.Namespace, _spec.Name, limit.Token).ConfigureAwait(false);
            isNew = before is null;
            // What runs already has told much: what counts is where it is now.
            bool isSame = before?.Labels.GetValueOrDefault(JobManifest.RevisionLabel) == JobManifest.RevisionOf(_spec);
            isAsked = true;
            ApplyResult applied = await _client.ApplyAsync(
                s_deployments, JobManifest.Deployment(_spec), new ApplyOptions { Force = true }, limit.Token).ConfigureAwait(false);
            KubernetesObject pod = await StartAsync(s_deployments, applied.Item, limit.Token).ConfigureAwait(false);
            await FollowAsync(pod, events, _ => found, isSame ? KeptStatuses : null, limit.Token).ConfigureAwait(false);
            if (!found)
            {
                throw events.Failure?.ToException(SmcErrorCode.JobFailed) ?? Silent(DeploymentDisplay, "its command ended", events.OtherText);
            }

            await RemoveOldSiteAsync(before, limit.Token).ConfigureAwait(false);
            _observer.Verbose($"{Capitalize(DeploymentDisplay)} runs in the pod '{pod.Name}'. {FollowHint("deployment")}");
            return good!;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw await EndAsync(new SmcException(
                SmcErrorCode.OperationTimedOut,
                $"{Capitalize(DeploymentDisplay)} did not do what it is for within {DisplayText.Duration(timeout)}.",
                recommendation: $"Look at its log (kubectl -n {_spec.Namespace} logs deployment/{_spec.Name}) and give it more time.",
                target: _spec.Name)).ConfigureAwait(false);
        }
        catch (SmcException e) when (isAsked)
        {
            throw await EndAsync(e).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (isAsked)
        {
            if (_options.CancelOnStop && isNew)
            {
                await RemoveAsync(s_deployments, DeploymentDisplay).ConfigureAwait(false);
            }
            else
            {
                _observer.Warning($"{Capitalize(DeploymentDisplay)} goes on in the cluster. {FollowHint("deployment")} {EndHint("deployment")} ends it.");
            }

            throw;
        }
        finally
        {
            events.Complete();
        }

        // What never worked would be started for ever; what somebody else relies on is not ours to remove.
        async Task<SmcException> EndAsync(SmcException error)
        {
            if (isNew)
            {
                await RemoveAsync(s_deployments, DeploymentDisplay).ConfigureAwait(false);
            }
            else
            {
                _observer.Warning($"{Capitalize(DeploymentDisplay)} was there before and stays, as it was asked for last.");
            }

            return error;
        }
    }

    private static string Capitalize(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static JsonNode? StateOf(KubernetesObject? pod) => (pod?.Raw["status"]?["containerStatuses"] as JsonArray ?? [])
        .FirstOrDefault(static status => (string?)status?["name"] == JobManifest.ContainerName)?["state"];

    private string FollowHint(string kind) => $"'kubectl -n {_spec.Namespace} logs -f {kind}/{_spec.Name}' follows it.";

    private string EndHint(string kind) => $"'kubectl -n {_spec.Namespace} delete {kind} {_spec.Name}'";

    private SmcException Silent(string display, string why, string said) => new(
        SmcErrorCode.JobFailed,
        $"{Capitalize(display)} ended without saying what it came to: {why}{(said.Length > 0 ? $". It said: {said}" : "")}.",
        target: _spec.Name);

    /// <summary>Makes the Job. An answer that was lost leaves it open whether it is there; its name is this run's alone, so what has it is this run's.</summary>
    private async Task<KubernetesObject> CreateAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _client.CreateAsync(s_jobs, JobManifest.Job(_spec), false, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (KubernetesStatusException.Of(e) is not { } status || status.Code >= 500 || status.Reason == "AlreadyExists")
        {
            KubernetesObject? there;
            try
            {
                there = await _client.TryGetAsync(s_jobs, _spec.Namespace, _spec.Name, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException unknown)
            {
                _observer.Warning(
                    $"Whether {JobDisplay} was made is not known: {unknown.Message} Look before it is run again, or it may run twice; {EndHint("job")} removes it.");
                throw e;
            }

            if (there is null)
            {
                throw;
            }

            _observer.Verbose($"{Capitalize(JobDisplay)} is there, although the cluster did not say so: {e.Message}");
            return there;
        }
    }

    /// <summary>Gives the pod its site file, and waits until its container has started.</summary>
    private async Task<KubernetesObject> StartAsync(KubernetesResource kind, KubernetesObject owner, CancellationToken cancellationToken)
    {
        bool started = false;
        try
        {
            // Behind its owner, so that nothing is left whatever comes between; a pod that is quicker waits for it.
            await _client.ApplyAsync(
                KubernetesResource.ConfigMaps, JobManifest.ConfigMap(_spec, owner), new ApplyOptions { Force = true }, cancellationToken).ConfigureAwait(false);
            KubernetesObject pod = await WaitForPodAsync(owner, cancellationToken).ConfigureAwait(false);
            started = true;
            return pod;
        }
        finally
        {
            // A Deployment may have been there before; its caller knows.
            if (!started && kind == s_jobs && !cancellationToken.IsCancellationRequested)
            {
                await RemoveAsync(kind, JobDisplay).ConfigureAwait(false);
            }
        }
    }

    private async Task<KubernetesObject> WaitForPodAsync(KubernetesObject owner, CancellationToken cancellationToken)
    {
        string activity = _options.Prefix is null ? "Kubernetes pod" : $"{_options.Prefix}: Kubernetes pod";
        using CancellationTokenSource timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(_spec.StartTimeout);
        KubernetesObject? last = null;
        bool isHopeless = false;
        try
        {
            _observer.Progress(new OperationProgress(activity, $"Waiting for a pod of '{_spec.Name}'"));
            await foreach (WatchEvent each in _client.WatchAsync(
                KubernetesResource.Pods, _spec.Namespace, new ListOptions { LabelSelector = JobManifest.SelectorOf(_spec) }, timer.Token).ConfigureAwait(false))
            {
                if (each.Item is not { } pod || each.Kind == WatchEventKind.Deleted || pod.DeletionTime is not null)
                {
                    continue;
                }

                last = pod;
                JsonNode? state = StateOf(pod);
                if (state?["running"] is not null || state?["terminated"] is not null)
                {
                    return pod;
                }

                JsonNode? waiting = state?["waiting"];
                if (s_hopeless.Contains((string?)waiting?["reason"]) ||
                    ((string?)waiting?["message"])?.Contains(RefusedRoot, StringComparison.Ordinal) == true ||
                    (string?)pod.Raw["status"]?["phase"] == "Failed")
                {
                    isHopeless = true;
                    break;
                }

                _observer.Progress(new OperationProgress(activity, $"Waiting for the pod '{pod.Name}' to start: {PodTrouble.Describe(pod)}"));
            }
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // Not in time: what is known of it is told below.
        }
        finally
        {
            _observer.Progress(new OperationProgress(activity, "") { IsCompleted = true });
        }

        string why = last is null ? "there is none" : PodTrouble.Describe(last);
        string warned = await PodEvents.LastWarningAsync(
            _client, _spec.Namespace, last?.Name ?? owner.Name, last?.Uid ?? owner.Uid, cancellationToken).ConfigureAwait(false);
        string late = isHopeless ? "" : $" within {DisplayText.Duration(_spec.StartTimeout)}";
        string more = warned.Length > 0 && !why.Contains(warned, StringComparison.Ordinal) ? $" ({warned})" : "";
        throw new SmcException(
            SmcErrorCode.PodNotStarted, $"The pod of '{_spec.Namespace}/{_spec.Name}' does not start{late}: {why}{more}.", target: _spec.Name);
    }

    /// <summary>Follows the log until the command is over, or what was wanted has come.</summary>
    /// <param name="tail">How many lines of what was told before count; null = all.</param>
    private async Task FollowAsync<T>(
        KubernetesObject pod, JobEvents<T> events, Func<JobEvents<T>, bool> isEnough, int? tail, CancellationToken cancellationToken)
    {
        bool isLast = false;
        while (true)
        {
            // A second is the finest that can be asked for; what comes twice is left out by its number.
            LogOptions log = new()
            {
                Container = JobManifest.ContainerName,
                Follow = !isLast,
                TailLines = events.Last == 0 ? tail : null,
                Since = isLast ? null : events.LastTime - TimeSpan.FromSeconds(2),
            };
            if (await ReadAsync(pod, log, events, isEnough, cancellationToken).ConfigureAwait(false) || events.ExitCode is not null)
            {
                return;
            }

            KubernetesObject? now = await _client.TryGetAsync(KubernetesResource.Pods, _spec.Namespace, pod.Name, cancellationToken).ConfigureAwait(false);
            if (now is null || now.Uid != pod.Uid)
            {
                _isPodGone = true;
                throw Silent($"the pod '{_spec.Namespace}/{pod.Name}'", "somebody has deleted it", events.OtherText);
            }

            if (isLast && events.Failure is not null)
            {
                return;
            }

            if (isLast)
            {
                throw Silent($"the pod '{_spec.Namespace}/{pod.Name}'", PodTrouble.Describe(now), events.OtherText);
            }

            // A container that ended has said all: it is read once more from the beginning, in case that the connection broke just then.
            isLast = StateOf(now)?["terminated"] is not null || (string?)now.Raw["status"]?["phase"] == "Failed";
            if (!isLast)
            {
                await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Reads the log to where it ends or breaks; true where what was wanted has come.</summary>
    private async Task<bool> ReadAsync<T>(
        KubernetesObject pod, LogOptions log, JobEvents<T> events, Func<JobEvents<T>, bool> isEnough, CancellationToken cancellationToken)
    {
        try
        {
            using StreamReader reader = new(await _client.OpenLogAsync(_spec.Namespace, pod.Name, log, cancellationToken).ConfigureAwait(false));
            while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
            {
                await events.TakeAsync(line).ConfigureAwait(false);
                if (isEnough(events) || events.ExitCode is not null)
                {
                    return true;
                }
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException or SocketException)
        {
            _observer.Verbose($"The log of the pod '{pod.Name}' broke off and is read on: {KubeText.Clean(e.Message, 200)}.");
        }
        catch (SmcException e) when (KubernetesStatusException.Of(e)?.Code is 400 or 404)
        {
            // The pod is gone, or its container is being replaced: what became of it is asked next.
            _observer.Verbose($"The log of the pod '{pod.Name}' cannot be read: {e.Message}");
        }

        return false;
    }

    /// <summary>The ConfigMap of a Deployment that was replaced has nobody who needs it any more.</summary>
    private async Task RemoveOldSiteAsync(KubernetesObject? before, CancellationToken cancellationToken)
    {
        string? old = (before?.Raw["spec"]?["template"]?["spec"]?["volumes"] as JsonArray ?? [])
            .Select(static volume => (string?)volume?["configMap"]?["name"])
            .FirstOrDefault(name => name?.StartsWith(_spec.Name + "-", StringComparison.Ordinal) == true);
        if (old is not null && old != JobManifest.ConfigMapNameOf(_spec))
        {
            await _client.DeleteAsync(KubernetesResource.ConfigMaps, _spec.Namespace, old, null, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Removes what was made, and waits until nothing of it is at work.</summary>
    private async Task RemoveAsync(KubernetesResource kind, string display)
    {
        TimeSpan timeout = _spec.EndTimeout + TimeSpan.FromSeconds(30);
        using CancellationTokenSource limit = new(timeout);
        try
        {
            // With Foreground it is gone when its pods are.
            if (await _client.DeleteAsync(
                kind, _spec.Namespace, _spec.Name, new DeleteOptions { Propagation = DeletePropagation.Foreground }, limit.Token).ConfigureAwait(false))
            {
                await _client.WaitUntilGoneAsync(kind, _spec.Namespace, _spec.Name, null, timeout, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            _observer.Warning($"{Capitalize(display)} could not be removed: {e.Message} {EndHint(kind.Kind.ToLowerInvariant())} does it.");
        }
    }
}
