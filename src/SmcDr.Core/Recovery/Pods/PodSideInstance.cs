using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// A cluster as it was at some instant, recovered by the engine of recoveries in pods to a volume of its own, in a namespace for tests, and run in the pod that
/// recovered it. Nothing of production is touched, and the server reaches nobody: it listens on its pod's loopback interface, archives and subscribes to
/// nothing, and a policy lets nothing into the pod and nothing out of it.
/// </summary>
/// <remarks>
/// The StatefulSet is there to own the pod, the claims and the policy, and has no replicas: no controller ever starts a server on that data. What a process that
/// was killed has left is removed by the next test in the namespace, and by whoever deletes that.
/// </remarks>
internal sealed class PodSideInstance : ISideInstance
{
    private static readonly TimeSpan s_startTime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_endTime = TimeSpan.FromMinutes(5);

    private readonly KubernetesClient _client;
    private readonly PodSideInstanceOptions _options;
    private readonly IOperationObserver _observer;
    private readonly PodTestNamespace _namespace;
    private readonly string _name = $"smcdr-{PodTestNamespace.Purpose}-{Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..8]}";
    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private string? _uid;
    private HelperPod? _helper;
    private PodRecoveryServer? _server;

    private PodSideInstance(KubernetesClient client, PodSideInstanceOptions options, IOperationObserver observer)
    {
        (_client, _options, _observer) = (client, options, observer);
        _namespace = new PodTestNamespace(client, options.Namespace, options.Helper, observer);
    }

    public RecoveryResult Recovery { get; private set; } = null!;

    public PostgresConnector Connector { get; private set; } = null!;

    /// <summary>Recovers a cluster and starts it.</summary>
    /// <param name="options">Where, and like what.</param>
    /// <param name="instance">What is recovered; its directories and account are those of the pod.</param>
    /// <param name="observer">Hears of the work.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="SmcException">It cannot be recovered; nothing is left of it.</exception>
    public static async Task<PodSideInstance> StartAsync(
        PodSideInstanceOptions options, SideInstanceOptions instance, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (options.Namespace == options.SourceNamespace)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"A recovery is tested in a namespace of its own, and '{options.Namespace}' is that of the database.",
                recommendation: "Give another one by -Namespace (or --namespace).",
                target: options.Namespace);
        }

        PodSideInstance side = new(await options.Connect(cancellationToken).ConfigureAwait(false), options, observer);
        bool started = false;
        try
        {
            await side.RecoverAsync(instance, cancellationToken).ConfigureAwait(false);
            started = true;
            return side;
        }
        finally
        {
            if (!started)
            {
                await side.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        using CancellationTokenSource limit = new(s_endTime);
        try
        {
            if (_server is not null)
            {
                await _server.EndAsync().ConfigureAwait(false);
            }

            if (_helper is not null)
            {
                await _helper.DisposeAsync().ConfigureAwait(false);
            }

            await _namespace.CloseAsync(_name, _uid, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            _observer.Warning(
                $"What was recovered for the test could not be removed from the namespace '{_options.Namespace}': {e.Message} The next test there removes it; or: " +
                $"kubectl --namespace {_options.Namespace} delete statefulset,pvc,networkpolicy,pod --selector {HelperPod.WorkloadLabel}={_name}");
        }
        finally
        {
            _client.Dispose();
        }
    }

    private async Task RecoverAsync(SideInstanceOptions instance, CancellationToken cancellationToken)
    {
        PodRecoveryRequest request = new()
        {
            Recovery = new RecoveryRequest
            {
                Repository = instance.Repository,
                BackupId = instance.BackupId,
                SystemId = instance.SystemId,
                Site = instance.Site,
                Target = instance.Target,
                DataDirectory = "",
                Superuser = instance.Superuser,
                Parallelism = instance.Parallelism,
                Force = true,
            },
            Connect = _options.Connect,
            Namespace = _options.Namespace,
            Workload = new WorkloadName(WorkloadKind.StatefulSet, _name),
            Helper = _options.Helper,
        };
        // What is wrong with the backups is found before anything is made.
        RecoverySource source = await RecoverySource
            .ChooseAsync(request.Recovery, instance.BackupId, _observer, cancellationToken).ConfigureAwait(false);
        DatabaseWorkload production = await PodRecovery
            .ReadAsync(_client, request with { Namespace = _options.SourceNamespace, Workload = _options.Workload }, cancellationToken).ConfigureAwait(false);
        await _namespace.OpenAsync(cancellationToken).ConfigureAwait(false);
        await CreateAsync(production, cancellationToken).ConfigureAwait(false);
        DatabaseWorkload workload = await PodRecovery.ReadAsync(_client, request, cancellationToken).ConfigureAwait(false);
        _helper = await HelperPod.StartAsync(_client, workload, _options.Helper, _observer, cancellationToken).ConfigureAwait(false);
        try
        {
            PodShell shell = new(_client, _helper.Target, _observer);
            (PodPlace place, _) = await VolumeInspection.LookAsync(
                shell, workload, isHelper: true, source.Details.ServerVersionNumber / 10000, force: true, cancellationToken).ConfigureAwait(false);
            RecoveryPlan plan = await PodRecovery.PlanAsync(request, place, null, isPending: false, _observer, cancellationToken).ConfigureAwait(false);
            instance.Planned?.Invoke(plan);
            PodRecoveryState state = await PodRecoveryState.OpenAsync(place, null, cancellationToken).ConfigureAwait(false);
            await state.ResetAsync(cancellationToken).ConfigureAwait(false);
            RecoveryResult result;
            PodRecoveryRun run = new(plan, place, state, _observer, null);
            await using (run.ConfigureAwait(false))
            {
                result = await run.RunAsync(cancellationToken).ConfigureAwait(false);
            }

            await StartServerAsync(instance, place, state, cancellationToken).ConfigureAwait(false);
            Recovery = result with
            {
                Workload = _options.Workload.ToString(), ServerRunning = true, StartTime = _start, Duration = DateTimeOffset.UtcNow - _start,
            };
        }
        catch (SmcException e) when (PodRecovery.MayBeOfLostPod(e.Code))
        {
            throw await _helper.ExplainAsync().ConfigureAwait(false) is { } why
                ? new SmcException(SmcErrorCode.PodStreamBroken, $"{why} What was met of it: {e.Message}", e, target: e.Target)
                : e;
        }
    }

    /// <summary>Starts what was recovered, with what isolates it on the command line, where nothing of its own configuration wins over it.</summary>
    private async Task StartServerAsync(SideInstanceOptions instance, PodPlace place, PodRecoveryState state, CancellationToken cancellationToken)
    {
        string access = $"{state.ServerDirectory}/side_hba.conf";
        string identities = $"{state.ServerDirectory}/side_ident.conf";
        // Who gets to the loopback interface of its pod is us.
        await place.Shell.WriteAsync(access, Encoding.UTF8.GetBytes("host all all 127.0.0.1/32 trust\n"), "600", place.Owner, cancellationToken).ConfigureAwait(false);
        await place.Shell.WriteAsync(identities, Array.Empty<byte>(), "600", place.Owner, cancellationToken).ConfigureAwait(false);
        _server = new PodRecoveryServer(place, place.DataDirectory, state.ServerDirectory);
        Dictionary<string, string> settings = new(ServerIsolation.Common(place.Major), StringComparer.Ordinal)
        {
            ["data_directory"] = place.DataDirectory,
            ["hba_file"] = access,
            ["ident_file"] = identities,
            ["restart_after_crash"] = "off",
        };
        if (!instance.ReadWrite)
        {
            settings["default_transaction_read_only"] = "on";
        }

        foreach ((string name, string value) in _server.ConnectionSettings)
        {
            settings[name] = value;
        }

        ReplayLog log = new();
        await _server.UpdateAsync(log, cancellationToken).ConfigureAwait(false);
        await _server.StartAsync(settings, log, static () => { }, s_startTime, cancellationToken).ConfigureAwait(false);
        Connector = _server.CreateConnector(instance.Superuser);
    }

    private async Task CreateAsync(DatabaseWorkload production, CancellationToken cancellationToken)
    {
        ResourceCatalog catalog = await _client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false);
        KubernetesResource claims = catalog.Get("v1", "PersistentVolumeClaim");
        Dictionary<string, JsonObject> volumes = [];
        foreach (ClaimMount mount in production.Claims.DistinctBy(static mount => mount.Volume))
        {
            KubernetesObject claim = await _client.GetAsync(claims, _options.SourceNamespace, mount.Claim, cancellationToken).ConfigureAwait(false);
            volumes[mount.Volume] = PodSideManifests.ClaimSpec(claim);
        }

        KubernetesObject set = await _client.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(_client, WorkloadKind.StatefulSet, cancellationToken).ConfigureAwait(false),
            PodSideManifests.Set(production, _options.Namespace, _name, HelperPod.Holder()),
            dryRun: false,
            cancellationToken).ConfigureAwait(false);
        _uid = set.Uid;
        await _client.CreateAsync(
            catalog.Get("networking.k8s.io/v1", "NetworkPolicy"), PodSideManifests.Policy(set), dryRun: false, cancellationToken).ConfigureAwait(false);
        foreach ((string volume, JsonObject spec) in volumes)
        {
            await _client.CreateAsync(claims, PodSideManifests.Claim(set, volume, spec), dryRun: false, cancellationToken).ConfigureAwait(false);
        }
    }
}
