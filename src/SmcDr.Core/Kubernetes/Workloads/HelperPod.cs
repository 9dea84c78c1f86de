using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>
/// A pod beside a stopped workload, on its volumes. There is one of a workload at a time, so whoever has it is alone at them; one that a process which was
/// killed has left is known by its silence, and removed. It is removed when this object is disposed of.
/// </summary>
internal sealed partial class HelperPod : IAsyncDisposable
{
    public const string PurposeLabel = "smcdr/purpose";
    public const string WorkloadLabel = "smcdr/workload";
    private const string Purpose = "restore";
    public const string HolderAnnotation = "smcdr/holder";
    private const string BeatAnnotation = "smcdr/alive";
    private const int MaximumName = 63;

    private readonly KubernetesClient _client;
    private readonly string _namespace;
    private readonly string? _uid;
    private readonly HelperPodOptions _options;
    private readonly IOperationObserver _observer;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _beating;

    private HelperPod(KubernetesClient client, KubernetesObject pod, HelperPodOptions options, IOperationObserver observer)
    {
        (_client, _namespace, _uid, _options, _observer) = (client, pod.Namespace!, pod.Uid, options, observer);
        Target = new PodTarget(pod.Namespace, pod.Name, "helper");
        _beating = Task.Run(BeatAsync);
    }

    public PodTarget Target { get; }

    /// <summary>The name of a workload's helper.</summary>
    public static string NameOf(WorkloadName workload) =>
        $"smcdr-restore-{workload.Name}" is { Length: <= MaximumName } name ? name : $"smcdr-restore-{workload.Name}"[..MaximumName].TrimEnd('-', '.');

    /// <summary>Starts the helper of a workload that is stopped.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.VolumeInUse"/>, <see cref="SmcErrorCode.OperationInProgress"/>, <see cref="SmcErrorCode.PodNotStarted"/>,
    /// <see cref="SmcErrorCode.QuotaExceeded"/>, <see cref="SmcErrorCode.AdmissionRefused"/>; nothing is left.
    /// </exception>
    public static async Task<HelperPod> StartAsync(
        KubernetesClient client, DatabaseWorkload workload, HelperPodOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        string @namespace = workload.Item.Namespace!;
        string name = NameOf(workload.Name);
        await RemoveLeftOverAsync(client, @namespace, name, workload.Name, options, observer, cancellationToken).ConfigureAwait(false);
        await RefuseUsedAsync(client, workload, name, cancellationToken).ConfigureAwait(false);
        JsonObject labels = new()
        {
            ["app.kubernetes.io/managed-by"] = "smcdr",
            [PurposeLabel] = Purpose,
            [WorkloadLabel] = workload.Name.Name is { Length: <= MaximumName } label ? label : workload.Name.Name[..MaximumName].TrimEnd('-', '.'),
        };
        JsonObject annotations = new()
        {
            [HolderAnnotation] = Holder(),
            [BeatAnnotation] = "0",
            // A mesh would put itself between us and the server on the loopback interface.
            ["sidecar.istio.io/inject"] = "false",
            ["linkerd.io/inject"] = "disabled",
        };
        KubernetesObject pod;
        try
        {
            pod = await client.CreateAsync(
                KubernetesResource.Pods, workload.CreateHelper(name, labels, annotations), false, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (KubernetesStatusException.Of(e)?.Reason == "AlreadyExists")
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress, $"Another restore of '{workload.Name}' in the namespace '{@namespace}' has just begun.", e, target: workload.Name.ToString());
        }

        HelperPod helper = new(client, pod, options, observer);
        bool started = false;
        try
        {
            await helper.WaitUntilRunningAsync(cancellationToken).ConfigureAwait(false);
            started = true;
            return helper;
        }
        finally
        {
            if (!started)
            {
                await helper.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Why the helper does not work any more, as its state tells; null where it seems to be well.</summary>
    public async Task<string?> ExplainAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(10));
        try
        {
            KubernetesObject? pod = await _client.TryGetAsync(KubernetesResource.Pods, _namespace, Target.Pod, limit.Token).ConfigureAwait(false);
            return pod is null || pod.Uid != _uid ? $"The helper pod '{Target.Pod}' was deleted by somebody."
                : pod.DeletionTime is not null ? $"The helper pod '{Target.Pod}' is being deleted by somebody."
                : (string?)pod.Raw["status"]?["phase"] != "Running" ? $"The helper pod '{Target.Pod}' has ended: {PodTrouble.Describe(pod)}."
                : null;
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Removes the pod and waits until it is gone.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _beating.ConfigureAwait(false);
        _stop.Dispose();
        using CancellationTokenSource limit = new(_options.EndTimeout);
        try
        {
            await RemoveAsync(_client, _namespace, Target.Pod, _uid, _options, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            _observer.Warning($"The helper pod '{Target}' could not be removed: {e.Message} Remove it with kubectl delete pod before the workload is started.");
        }
    }

    /// <summary>Who this process is, for annotations.</summary>
    public static string Holder() => string.Create(
        CultureInfo.InvariantCulture,
        $"process {Environment.ProcessId} on {Environment.MachineName} since {DisplayText.Time(DateTimeOffset.UtcNow)} (kernel {KernelOf()}, start {StartOf(Environment.ProcessId)})");

    /// <summary>
    /// Whether the holder surely was a process of this machine that does not live any more. Only the kernel that gave it its number can say so: containers
    /// may have the machine's name, and have numbers of their own.
    /// </summary>
    public static bool IsLeftHere(string? holder) =>
        HolderText().Match(holder ?? "") is { Success: true } match && match.Groups["kernel"].Value == KernelOf() &&
        int.TryParse(match.Groups["id"].Value, CultureInfo.InvariantCulture, out int id) &&
        (ProcessTable.IsPresent ? ProcessTable.IsGone(id, match.Groups["start"].Value) : StartOf(id) != match.Groups["start"].Value);

    [GeneratedRegex(@"^process (?<id>[0-9]+) on .* \(kernel (?<kernel>[0-9a-f]+), start (?<start>[0-9]+)\)$", RegexOptions.CultureInvariant)]
    private static partial Regex HolderText();

    private static string? KernelOf()
    {
        const int Length = 12;
        string? kernel = ProcessTable.IsPresent ? ProcessTable.ReadKernel() : Environment.MachineName;
        return kernel is null ? null : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(kernel)))[..Length];
    }

    private static string? StartOf(int id)
    {
        if (ProcessTable.IsPresent)
        {
            return ProcessTable.ReadStart(id);
        }

        try
        {
            using Process process = Process.GetProcessById(id);
            return process.StartTime.ToFileTimeUtc().ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return null;
        }
        catch (Win32Exception)
        {
            // Somebody else's, so another one.
            return "";
        }
    }

    private static Task RemoveAsync(
        KubernetesClient client, string @namespace, string name, string? uid, HelperPodOptions options, CancellationToken cancellationToken) =>
        RemoveAsync(client, @namespace, name, new DeleteOptions { Uid = uid, GracePeriod = TimeSpan.FromSeconds(5) }, uid, options.EndTimeout, cancellationToken);

    private static async Task RemoveAsync(
        KubernetesClient client, string @namespace, string name, DeleteOptions how, string? uid, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await client.DeleteAsync(KubernetesResource.Pods, @namespace, name, how, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ResourceConflict)
        {
            // Another one has its name by now.
            return;
        }

        await client.WaitUntilGoneAsync(KubernetesResource.Pods, @namespace, name, uid, timeout, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes a helper that gives no signs of life.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: it does.</exception>
    public static async Task RemoveLeftOverAsync(
        KubernetesClient client,
        string @namespace,
        string name,
        WorkloadName workload,
        HelperPodOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        Stopwatch silence = Stopwatch.StartNew();
        string? first = null;
        while (await client.TryGetAsync(KubernetesResource.Pods, @namespace, name, cancellationToken).ConfigureAwait(false) is { } pod)
        {
            if (pod.Labels.GetValueOrDefault(PurposeLabel) != Purpose)
            {
                throw new SmcException(
                    SmcErrorCode.ResourceConflict,
                    $"There is a pod '{name}' in the namespace '{@namespace}' that is not SmcDr's.",
                    recommendation: "Find out what it is for, and remove it or give it another name.",
                    target: name);
            }

            string beat = pod.Annotations.GetValueOrDefault(BeatAnnotation) ?? "";
            first ??= beat;
            if (beat != first)
            {
                throw new SmcException(
                    SmcErrorCode.OperationInProgress,
                    $"Another restore of '{workload}' in the namespace '{@namespace}' is at work: {KubeText.Clean(pod.Annotations.GetValueOrDefault(HolderAnnotation), 200)}.",
                    target: workload.ToString());
            }

            if (silence.Elapsed > options.Silence || IsLeftHere(pod.Annotations.GetValueOrDefault(HolderAnnotation)) || pod.DeletionTime is not null || (string?)pod.Raw["status"]?["phase"] is "Succeeded" or "Failed")
            {
                observer.Verbose($"The helper pod '{name}' was left by a restore that has ended ({KubeText.Clean(pod.Annotations.GetValueOrDefault(HolderAnnotation), 200)}); it is removed.");
                await RemoveAsync(client, @namespace, name, pod.Uid, options, cancellationToken).ConfigureAwait(false);
                return;
            }

            observer.Progress(new OperationProgress("Prepare the volume", $"Waiting whether the helper pod '{name}' that is there shows signs of life"));
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task RefuseUsedAsync(
        KubernetesClient client, DatabaseWorkload workload, string helper, CancellationToken cancellationToken)
    {
        HashSet<string> claims = [.. workload.Claims.Select(static mount => mount.Claim)];
        List<string> users = [];
        await foreach (KubernetesObject pod in client.ListAsync(
            KubernetesResource.Pods, workload.Item.Namespace, null, cancellationToken).ConfigureAwait(false))
        {
            if (pod.Name != helper && (string?)pod.Raw["status"]?["phase"] is not ("Succeeded" or "Failed") &&
                (pod.Raw["spec"]?["volumes"] as JsonArray ?? [])
                    .Any(volume => (string?)volume?["persistentVolumeClaim"]?["claimName"] is { } claim && claims.Contains(claim)))
            {
                users.Add(pod.Name);
            }
        }

        if (users.Count > 0)
        {
            throw new SmcException(
                SmcErrorCode.VolumeInUse,
                $"The volume of '{workload.Name}' in the namespace '{workload.Item.Namespace}' is used by the pod {string.Join(", ", users.Select(static name => $"'{name}'"))}.",
                target: workload.Name.ToString());
        }
    }

    private async Task WaitUntilRunningAsync(CancellationToken cancellationToken)
    {
        KubernetesObject? last = null;
        _observer.Progress(new OperationProgress("Prepare the volume", $"Waiting for the helper pod '{Target.Pod}' to start"));
        bool isOver = await _client.WaitAsync(
            KubernetesResource.Pods,
            _namespace,
            Target.Pod,
            pod =>
            {
                last = pod ?? last;
                return pod is null || (string?)pod.Raw["status"]?["phase"] is "Running" or "Succeeded" or "Failed";
            },
            _options.StartTimeout,
            cancellationToken).ConfigureAwait(false);
        _observer.Progress(new OperationProgress("Prepare the volume", "") { IsCompleted = true });
        if (isOver && (string?)last?.Raw["status"]?["phase"] == "Running" && last.DeletionTime is null)
        {
            return;
        }

        string why = last is null ? "it was deleted" : PodTrouble.Describe(last);
        string warned = await PodEvents.LastWarningAsync(_client, _namespace, Target.Pod, _uid, cancellationToken).ConfigureAwait(false);
        throw new SmcException(
            SmcErrorCode.PodNotStarted,
            string.Create(CultureInfo.InvariantCulture, $"The helper pod '{Target}' does not start{(isOver ? "" : $" within {_options.StartTimeout.TotalSeconds:0} seconds")}: {why}{(warned.Length > 0 && !why.Contains(warned, StringComparison.Ordinal) ? $" ({warned})" : "")}."),
            target: Target.ToString());
    }

    private async Task BeatAsync()
    {
        using PeriodicTimer timer = new(_options.Heartbeat);
        try
        {
            for (long beat = 1; await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false); beat++)
            {
                try
                {
                    JsonObject patch = new()
                    {
                        ["metadata"] = new JsonObject
                        {
                            ["uid"] = _uid,
                            ["annotations"] = new JsonObject { [BeatAnnotation] = beat.ToString(CultureInfo.InvariantCulture) },
                        },
                    };
                    await _client.PatchAsync(KubernetesResource.Pods, _namespace, Target.Pod, PatchKind.Merge, patch, _stop.Token).ConfigureAwait(false);
                }
                catch (SmcException e)
                {
                    _observer.Verbose($"A sign of life at the helper pod '{Target.Pod}' failed: {e.Message}");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
    }
}
