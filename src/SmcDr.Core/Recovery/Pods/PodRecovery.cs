using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// Recovers a database cluster that runs in a workload of Kubernetes, on the workload's own volume: the workload is stopped, a helper pod takes its place on
/// the volume, the cluster is restored and replayed there beside the present one, takes its place by a rename, and the workload is started again.
/// </summary>
/// <remarks>
/// Until the rename nothing of the present cluster is touched, and after it the present cluster lies beside, under a name that is told. So going back is always
/// starting the workload, before the rename as it is, and a second run of the same command goes on from any moment.
/// </remarks>
public static class PodRecovery
{
    // What pg_wal takes during replay beyond the staged files.
    private const long WalReserve = 1L << 30;

    /// <summary>Finds out whether the recovery can succeed, and how. Changes nothing; a pod of the workload that runs is asked what its volume has.</summary>
    /// <exception cref="SmcException">It cannot; the code says why.</exception>
    public static async Task<PodRecoveryPlan> PlanAsync(
        PodRecoveryRequest request, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(observer);
        Check(request.Recovery);
        using KubernetesClient client = await request.Connect(cancellationToken).ConfigureAwait(false);
        DatabaseWorkload workload = await ReadAsync(client, request, cancellationToken).ConfigureAwait(false);
        PodShell? running = await FindRunningAsync(client, request, workload, observer, cancellationToken).ConfigureAwait(false);
        RecoverySource source = await RecoverySource
            .ChooseAsync(request.Recovery, request.Recovery.BackupId, observer, cancellationToken).ConfigureAwait(false);
        (PodPlace Place, ulong? SystemId)? seen = running is null
            ? null
            : await VolumeInspection.LookAsync(
                running, workload, isHelper: false, Major(source.Details), request.Recovery.Force, cancellationToken).ConfigureAwait(false);
        RecoveryPlan recovery = seen is { } found
            ? await PlanAsync(request, found.Place, found.SystemId, IsPending(workload), observer, cancellationToken).ConfigureAwait(false)
            : await PlanUnseenAsync(request, workload, source, cancellationToken).ConfigureAwait(false);
        PodRecoveryPlan plan = new()
        {
            Request = request,
            Recovery = recovery,
            IsSeen = seen is not null,
            Claims = [.. workload.Claims.Select(static mount => mount.Claim).Distinct()],
            Cluster = client.Access.Display,
            Workload = workload,
        };
        foreach (string line in plan.Describe())
        {
            observer.Verbose(line);
        }

        return plan;
    }

    /// <summary>Carries a plan out. Interrupted at whatever moment, it is finished by planning and executing the same request again.</summary>
    /// <exception cref="SmcException">It failed; the message says how far it is and how to go back.</exception>
    public static Task<RecoveryResult> ExecuteAsync(PodRecoveryPlan plan, IOperationObserver observer, CancellationToken cancellationToken) =>
        ExecuteAsync(plan, observer, null, cancellationToken);

    /// <param name="afterPhase">Called when a phase is over and journaled: where tests interrupt.</param>
    internal static async Task<RecoveryResult> ExecuteAsync(
        PodRecoveryPlan plan, IOperationObserver observer, Action<RecoveryPhase>? afterPhase, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observer);
        if (plan.IsDone)
        {
            observer.Warning($"Nothing was done: this recovery of '{plan.Request.Workload}' to {plan.Recovery.Target} was finished before. Add -Force to recover it anew.");
            return RecoveryRun.Result(plan.Recovery.Journal!, resumed: true, running: true) with { Workload = plan.Request.Workload.ToString() };
        }

        foreach (string warning in plan.Recovery.Warnings)
        {
            observer.Warning(warning);
        }

        using KubernetesClient client = await plan.Request.Connect(cancellationToken).ConfigureAwait(false);
        return await new Execution(plan, client, observer, afterPhase).RunAsync(cancellationToken).ConfigureAwait(false);
    }

    private static void Check(RecoveryRequest request)
    {
        string? what = request.Isolation is not null ? "be a side instance"
            : request.Delta ? "be made in place (delta)"
            : request.Tablespaces.Count > 0 ? "move tablespaces"
            : request.Settings.Count > 0 ? "start with other settings"
            : null;
        if (what is not null)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"A recovery in Kubernetes cannot {what}.",
                recommendation: "Leave that out, or name a data directory of this host to recover to.");
        }
    }

    private static int Major(DatabaseBackupDetails details) => details.ServerVersionNumber / 10000;

    /// <summary>Whether a failure may be how it is met that a helper pod is gone.</summary>
    internal static bool MayBeOfLostPod(SmcErrorCode code) => code is SmcErrorCode.PodStreamBroken or SmcErrorCode.PodCommandFailed
        or SmcErrorCode.ResourceNotFound or SmcErrorCode.PodTransferFailed or SmcErrorCode.ServerUnavailable or SmcErrorCode.ServerStartFailed
        or SmcErrorCode.ClusterUnavailable;

    internal static Task<DatabaseWorkload> ReadAsync(KubernetesClient client, PodRecoveryRequest request, CancellationToken cancellationToken) =>
        DatabaseWorkload.ReadAsync(
            client, request.Namespace, request.Workload, ["PGDATA", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE", "POSTGRES_DB", "POSTGRES_USER"], cancellationToken);

    private static async Task<PodShell?> FindRunningAsync(
        KubernetesClient client, PodRecoveryRequest request, DatabaseWorkload workload, IOperationObserver observer, CancellationToken cancellationToken)
    {
        List<KubernetesObject> pods = await new ClusterWorkloads(client, request.Namespace)
            .ListPodsAsync(request.Workload, workload.Item, cancellationToken).ConfigureAwait(false);
        KubernetesObject? running = pods.Find(pod => pod.DeletionTime is null && (pod.Raw["status"]?["containerStatuses"] as JsonArray ?? [])
            .Any(status => (string?)status?["name"] == workload.Container && status["state"]?["running"] is not null));
        return running is null ? null : new PodShell(client, new PodTarget(running.Namespace, running.Name, workload.Container), observer);
    }

    /// <summary>Whether an earlier recovery has stopped a workload and not started it again.</summary>
    private static bool IsPending(DatabaseWorkload workload) => Suspension.Of(workload.Item)?.Reason == Suspension.ByRecovery;

    /// <summary>The plan of what is done on a volume that can be looked at.</summary>
    internal static async Task<RecoveryPlan> PlanAsync(
        PodRecoveryRequest request,
        PodPlace place,
        ulong? systemId,
        bool isPending,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        RecoveryRequest recovery = request.Recovery with { DataDirectory = place.DataDirectory };
        RecoveryProgress? journal = place.Journal;
        bool same = journal is { Intent: not null } && DatabaseRecovery.IsSame(journal.Intent, recovery, place.DataDirectory);
        if (same && journal!.Phase == RecoveryPhase.Done)
        {
            // What was recovered and not started yet is not asked for anew.
            same = (isPending || !recovery.Force) && place.HasData;
        }
        else if (journal is { Intent: not null, Phase: not RecoveryPhase.Done } && !same && !recovery.Force)
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"A recovery of '{request.Workload}' to something else ({journal.Intent.TargetKind} {journal.Intent.TargetValue}) was interrupted after the phase '{journal.Phase}'.",
                recommendation: "Run the same command as then to finish it, or add -Force to abandon it; nothing of the present data is deleted.",
                target: request.Workload.ToString());
        }

        RecoveryPhase phase = same ? journal!.Phase : RecoveryPhase.None;
        RecoverySource source = await RecoverySource.ChooseAsync(
            recovery, same ? journal!.Intent!.BackupId : recovery.BackupId, observer, cancellationToken).ConfigureAwait(false);
        Manifest manifest = await source.Reader.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        RefuseTablespaces(request, source.Details, place.Tablespaces);
        int progress = PodRecoveryRun.Phases.ToList().IndexOf(phase);
        List<RecoveryMove> moves = [];
        if (place.HasData && progress < PodRecoveryRun.Phases.ToList().IndexOf(RecoveryPhase.Moved))
        {
            if (!recovery.Force && (journal is null || !same || journal.Moves.All(move => move.Path != place.DataDirectory)))
            {
                throw new SmcException(
                    SmcErrorCode.TargetNotEmpty,
                    $"There is data in '{place.DataDirectory}' on the volume of '{request.Workload}'.",
                    recommendation: "Add -Force (or --force): it is then moved aside on the volume, not deleted.",
                    target: request.Workload.ToString());
            }

            moves.Add(new RecoveryMove(
                place.DataDirectory,
                RecoveryRun.FreeName(place.IsVolumeRoot ? place.DataDirectory + "/smcdr" : place.DataDirectory, static _ => false)));
        }

        List<RecoverySpace> space = [];
        if (progress < PodRecoveryRun.Phases.ToList().IndexOf(RecoveryPhase.Fetched))
        {
            await source.Reader.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
            long needed = Math.Max(0, manifest.Entries.Sum(static e => e.Size) + source.WalBytes + Math.Min(source.WalBytes, WalReserve) - place.StateBytes);
            space.Add(new RecoverySpace(place.DataDirectory, needed, place.AvailableBytes));
            if (place.AvailableBytes < needed)
            {
                throw new SmcException(
                    SmcErrorCode.DiskSpaceInsufficient,
                    $"The recovery needs {RecoveryPlan.Bytes(needed)} on the volume of '{request.Workload}' beside what is there, and {RecoveryPlan.Bytes(place.AvailableBytes)} are free.",
                    recommendation: "Enlarge the volume claim (kubectl edit pvc, where its class allows that), or remove what an earlier recovery has left beside the data directory.",
                    target: request.Workload.ToString());
            }
        }

        List<string> warnings = [.. source.Warnings];
        if (systemId is { } present && present.ToString(CultureInfo.InvariantCulture) != source.Details.SystemId)
        {
            warnings.Add($"The data that is on the volume is of another cluster ({present}) than the backup ({source.Details.SystemId}).");
        }

        return await source.CreatePlanAsync(recovery, place.DataDirectory, manifest, phase, cancellationToken).ConfigureAwait(false) with
        {
            Moves = moves,
            Space = space,
            Warnings = warnings,
            Journal = journal,
            Abandon = journal is { Phase: not RecoveryPhase.None and not RecoveryPhase.Done } && !same,
        };
    }

    /// <summary>The plan as far as it can be told without the volume.</summary>
    private static async Task<RecoveryPlan> PlanUnseenAsync(
        PodRecoveryRequest request, DatabaseWorkload workload, RecoverySource source, CancellationToken cancellationToken)
    {
        Manifest manifest = await source.Reader.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        await source.Reader.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
        RefuseTablespaces(request, source.Details, []);
        string directory = workload.Variable("PGDATA") ?? workload.Claims[0].MountPath;
        return await source.CreatePlanAsync(
            request.Recovery with { DataDirectory = directory }, directory, manifest, RecoveryPhase.None, cancellationToken).ConfigureAwait(false) with
        {
            Warnings = [.. source.Warnings],
        };
    }

    private static void RefuseTablespaces(PodRecoveryRequest request, DatabaseBackupDetails details, IReadOnlyList<string> present)
    {
        // One that lies within the data directory (allow_in_place_tablespaces) comes with it.
        string[] places = [.. details.Tablespaces.Where(static t => t.Location.StartsWith('/')).Select(static t => t.Location), .. present.Where(static p => p.StartsWith('/'))];
        if (places.Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.WorkloadUnsuitable,
                $"The cluster has tablespaces outside of its data directory ({string.Join(", ", places.Distinct())}), which a recovery in Kubernetes does not bring back.",
                recommendation: "Recover it on a host with -DataDirectory and -TablespaceLocation, and bring the result to the volume.",
                target: request.Workload.ToString());
        }
    }

    /// <summary>One recovery.</summary>
    private sealed class Execution(
        PodRecoveryPlan plan, KubernetesClient client, IOperationObserver observer, Action<RecoveryPhase>? afterPhase)
    {
        private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
        private ClusterWorkloads _workloads = null!;
        private string _step = "";
        private bool _isStopped;
        private bool _isMoved;
        private string? _aside;

        private PodRecoveryRequest Request => plan.Request;

        private WorkloadName Name => Request.Workload;

        public async Task<RecoveryResult> RunAsync(CancellationToken cancellationToken)
        {
            _workloads = new ClusterWorkloads(
                client, Request.Namespace, new WorkloadOptions { Timeout = Request.WorkloadTimeout, Reason = Suspension.ByRecovery }, observer);
            try
            {
                return await CarryOutAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                throw new SmcException(
                    e.Code, $"The step '{_step}' failed: {e.Message} {Describe()}".TrimEnd(), e, $"{e.Recommendation} {GoOn()}".TrimEnd(), e.Target ?? Name.ToString());
            }
            catch (OperationCanceledException)
            {
                if (Describe() is { Length: > 0 } state)
                {
                    observer.Warning($"{state} {GoOn()}");
                }

                throw;
            }
        }

        private async Task<RecoveryResult> CarryOutAsync(CancellationToken cancellationToken)
        {
            RecoveryRequest recovery = plan.Recovery.Request;
            if (recovery.Writers is { } writers)
            {
                Begin("Stop the writers");
                await writers.SuspendAsync(cancellationToken).ConfigureAwait(false);
            }

            Begin("Stop the database");
            _isStopped = true;
            int replicas = Math.Max(1, plan.Workload.Replicas);
            await _workloads.SuspendAsync(Name, cancellationToken).ConfigureAwait(false);
            RecoveryResult result = await RecoverAsync(cancellationToken).ConfigureAwait(false);
            if (recovery.KeepRunning)
            {
                Begin("Start the database");
                await StartAsync(replicas, cancellationToken).ConfigureAwait(false);
                _isStopped = false;
                Begin("Check the database");
                await CheckAsync(result, cancellationToken).ConfigureAwait(false);
                if (recovery.Writers is { } stopped)
                {
                    Begin("Start the writers");
                    await stopped.ResumeAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            else
            {
                observer.Warning($"'{Name}' is left stopped{(recovery.Writers is null ? "" : ", and so are its writers")}. {StartCommand()}");
            }

            if (result.PreviousDataDirectory is { } aside)
            {
                observer.Verbose($"What was there before lies in '{aside}' on the same volume. Remove it there when it is not needed any more (kubectl exec … rm -rf).");
            }

            DateTimeOffset start = result.StartTime < _start ? result.StartTime : _start;
            return result with
            {
                Workload = Name.ToString(), ServerRunning = recovery.KeepRunning, StartTime = start, Duration = DateTimeOffset.UtcNow - start,
            };
        }

        private async Task<RecoveryResult> RecoverAsync(CancellationToken cancellationToken)
        {
            Begin("Start the helper pod");
            DatabaseWorkload workload = await ReadAsync(client, Request, cancellationToken).ConfigureAwait(false);
            HelperPod helper = await HelperPod.StartAsync(client, workload, Request.Helper, observer, cancellationToken).ConfigureAwait(false);
            await using (helper.ConfigureAwait(false))
            {
                try
                {
                    Begin("Look at the volume");
                    PodShell shell = new(client, helper.Target, observer);
                    (PodPlace place, ulong? systemId) = await VolumeInspection.LookAsync(
                        shell, workload, isHelper: true, Major(plan.Recovery.Backup.Database!), plan.Recovery.Request.Force, cancellationToken).ConfigureAwait(false);
                    RecoveryPlan recovery = await PlanAsync(Request, place, systemId, IsPending(plan.Workload), observer, cancellationToken).ConfigureAwait(false);
                    _isMoved = recovery.Phase is RecoveryPhase.Moved or RecoveryPhase.Done;
                    _aside = place.Journal?.Moves.LastOrDefault(move => move.Path == place.DataDirectory)?.Destination;
                    Begin("Recover");
                    return await RecoverAsync(recovery, place, cancellationToken).ConfigureAwait(false);
                }
                catch (SmcException e) when (MayBeOfLostPod(e.Code))
                {
                    // A pod that is gone is met in many ways; that it is gone says most.
                    throw await helper.ExplainAsync().ConfigureAwait(false) is { } why
                        ? new SmcException(SmcErrorCode.PodStreamBroken, $"{why} What was met of it: {e.Message}", e, target: e.Target)
                        : e;
                }
            }
        }

        private async Task<RecoveryResult> RecoverAsync(RecoveryPlan recovery, PodPlace place, CancellationToken cancellationToken)
        {
            PodRecoveryState state = await PodRecoveryState.OpenAsync(place, place.Journal, cancellationToken).ConfigureAwait(false);
            if (recovery.Phase == RecoveryPhase.None)
            {
                await state.ResetAsync(cancellationToken).ConfigureAwait(false);
            }
            else if (recovery.IsDone)
            {
                return RecoveryRun.Result(state.Progress, resumed: true, running: false);
            }

            PodRecoveryRun run = new(
                recovery,
                place,
                state,
                observer,
                phase =>
                {
                    _isMoved |= phase == RecoveryPhase.Moved;
                    _aside = state.Progress.Moves.LastOrDefault(move => move.Path == place.DataDirectory)?.Destination;
                    afterPhase?.Invoke(phase);
                });
            await using (run.ConfigureAwait(false))
            {
                return await run.RunAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        private async Task StartAsync(int replicas, CancellationToken cancellationToken)
        {
            WorkloadInfo info = await _workloads.GetAsync(Name, cancellationToken).ConfigureAwait(false);
            if (info.SuspendedTime is null && info.Replicas == 0)
            {
                // It was scaled to none by hand, before.
                await client.SetScaleAsync(
                    await ClusterWorkloads.ResourceOfAsync(client, Name.Kind, cancellationToken).ConfigureAwait(false),
                    Request.Namespace, Name.Name, replicas, cancellationToken).ConfigureAwait(false);
            }

            await _workloads.ResumeAsync(Name, wait: true, cancellationToken).ConfigureAwait(false);
        }

        private async Task CheckAsync(RecoveryResult result, CancellationToken cancellationToken)
        {
            if (Request.Connector is not { } connector)
            {
                return;
            }

            NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                using NpgsqlCommand command = connection.CreateCommand();
                command.CommandText =
                    "SELECT pg_catalog.pg_is_in_recovery(), system_identifier::text FROM pg_catalog.pg_control_system()";
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                    string systemId = ((ulong)long.Parse(reader.GetString(1), CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);
                    if (reader.GetBoolean(0) || systemId != plan.Recovery.Backup.Database!.SystemId)
                    {
                        throw new SmcException(
                            SmcErrorCode.VerificationFailed,
                            reader.GetBoolean(0)
                                ? $"The database in '{Name}' has started and is a standby."
                                : $"What has started in '{Name}' is the cluster {systemId}, and {plan.Recovery.Backup.Database!.SystemId} was recovered, on timeline {result.Timeline}.",
                            target: Name.ToString());
                    }
                }
            }

            observer.Verbose("The recovered cluster is on a new timeline: take a new base backup.");
        }

        private void Begin(string step)
        {
            _step = step;
            observer.Verbose($"{step}.");
        }

        private string Describe()
        {
            string writers = plan.Recovery.Request.Writers is { } names ? $" The writers ({string.Join(", ", names.Names)}) may be stopped, too." : "";
            return !_isStopped && !_isMoved ? writers.Trim()
                : !_isMoved ? $"The data on the volume is as it was; '{Name}' is stopped.{writers}"
                : $"The recovered data is in place{(_aside is null ? "" : $", and what was there before lies in '{_aside}' on the same volume")}.{(_isStopped ? $" '{Name}' is stopped." : "")}{writers}";
        }

        private string GoOn() => !_isStopped && !_isMoved ? ""
            : $"The same command goes on from here.{(_isMoved ? "" : $" To go back instead: {StartCommand()}")}";

        private string StartCommand() => string.Create(
            CultureInfo.InvariantCulture,
            $"kubectl --namespace {Request.Namespace} scale {Name} --replicas={Math.Max(1, plan.Workload.Replicas)}{(plan.Recovery.Request.Writers is null ? "" : ", then Resume-SmcWorkload (or 'smcdr workload resume')")}.");
    }
}
