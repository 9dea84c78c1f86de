using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// Restores a backup to a Redis that runs in a workload of Kubernetes, by its files: the workload is stopped, a helper pod takes its place on the volume, the
/// RDB is brought there and becomes what the server loads when it starts, as <see cref="RedisOfflineRestore"/> does it on a host, and the workload is started
/// again.
/// </summary>
/// <remarks>
/// Until the RDB is on the volume, whole and proven, nothing of what the server has is touched. Then that moves aside, on the same volume, and stays until it is
/// removed by hand. What an interrupted restore has noted lies on the volume, too, so that anybody goes on from anywhere. A server that does not start with
/// the restored data gets back what it had.
/// </remarks>
public sealed partial class RedisPodRestore : IRedisRestore
{
    /// <summary>For journal, manifest and the like, beside the RDB.</summary>
    private const long Margin = 1 << 20;

    /// <summary>How often a container may end before that is taken for more than bad luck.</summary>
    private const int MaximumRestarts = 2;

    /// <summary>What the variables of images' containers are called.</summary>
    private static readonly string[] s_variables = ["REDIS_VERSION", "REDIS_PASSWORD", "REDIS_DATA_DIR", "REDIS_PORT", "ALLOW_EMPTY_PASSWORD", "VALKEY_PASSWORD"];

    private static readonly string[] s_programs = ["redis-server", "valkey-server", "keydb-server"];

    private readonly RedisConnector _connector;
    private readonly Guid _repositoryId;
    private readonly BackupReader _backup;
    private readonly RedisPodRestoreOptions _options;

    /// <summary>Creates the restore; nothing is done yet.</summary>
    /// <param name="connector">The server, whether it runs or not.</param>
    /// <param name="repository">The repository that has the backup.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="options">The workload.</param>
    public RedisPodRestore(RedisConnector connector, Repository repository, BackupReader backup, RedisPodRestoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(backup);
        ArgumentNullException.ThrowIfNull(options);
        (_connector, _repositoryId, _backup, _options) = (connector, repository.Id, backup, options);
    }

    /// <inheritdoc/>
    public RedisRestoreMethod Method => RedisRestoreMethod.Offline;

    private BackupHeader Header => _backup.Header;

    private WorkloadName Name => _options.Workload;

    private string Display => $"{_connector.Display} ('{Name}' in the namespace '{_options.Namespace}')";

    /// <inheritdoc/>
    public async Task<RedisRestorePlan> PlanAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        using KubernetesClient client = await _options.Connect(cancellationToken).ConfigureAwait(false);
        RedisPodTarget target = await LookAsync(client, observer, cancellationToken).ConfigureAwait(false);
        return new RedisRestorePlan
        {
            BackupId = Header.Id,
            Method = Method,
            Target = _connector.Display,
            KeyCount = Header.Redis!.Content?.Keys,
            TargetKeyCount = target.Info?.Databases.Sum(static database => database.Keys),
            ReplacesData = true,
            Steps = [.. Describe(client, target)],
            Warnings = target.Warnings,
            SuspendFirst = target.SuspendFirst,
        };
    }

    /// <inheritdoc/>
    public async Task<RedisRestoreResult> RunAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        using KubernetesClient client = await _options.Connect(cancellationToken).ConfigureAwait(false);
        try
        {
            RedisPodTarget target = await LookAsync(client, observer, cancellationToken).ConfigureAwait(false);
            foreach (string warning in target.Warnings.Concat(target.SuspendFirst is { } suspend ? (string[])[suspend] : []))
            {
                observer.Warning(warning);
            }

            return await new Execution(this, client, target, observer).RunAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, "Done") { IsCompleted = true });
        }
    }

    /// <summary>
    /// Takes an interrupted restore back: the workload is stopped, what the server had before is put in its place again, and the workload is started.
    /// </summary>
    /// <param name="observer">Is told what was done.</param>
    /// <param name="cancellationToken">Stops the work; it is finished by calling this again.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: there is none to be taken back.</exception>
    public async Task UndoAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        using KubernetesClient client = await _options.Connect(cancellationToken).ConfigureAwait(false);
        DatabaseWorkload workload = await ReadAsync(client, cancellationToken).ConfigureAwait(false);
        await new Execution(this, client, new RedisPodTarget { Workload = workload }, observer).UndoAsync(cancellationToken).ConfigureAwait(false);
    }

    private Task<DatabaseWorkload> ReadAsync(KubernetesClient client, CancellationToken cancellationToken) =>
        DatabaseWorkload.ReadAsync(client, _options.Namespace, Name, s_variables, cancellationToken);

    private async Task<RedisPodTarget> LookAsync(KubernetesClient client, IOperationObserver observer, CancellationToken cancellationToken)
    {
        OfflineChecks.CheckBackup(Header);
        DatabaseWorkload workload = await ReadAsync(client, cancellationToken).ConfigureAwait(false);
        (RedisInfo? info, IReadOnlyDictionary<string, string>? settings, string? suspend) = await RunningRedis.AskAsync(
            _connector, observer, cancellationToken).ConfigureAwait(false);
        RedisPodTarget target = new() { Workload = workload, Info = info, Settings = settings, SuspendFirst = suspend };
        List<KubernetesObject> pods = await new ClusterWorkloads(client, _options.Namespace)
            .ListPodsAsync(Name, workload.Item, cancellationToken).ConfigureAwait(false);
        return pods.Find(pod => pod.DeletionTime is null && StatusOf(workload, pod)?["state"]?["running"] is not null) is { } running
            ? await LookAtVolumeAsync(
                target, new PodShell(client, new PodTarget(running.Namespace, running.Name, workload.Container), observer), isHelper: false, cancellationToken)
                .ConfigureAwait(false)
            : target;
    }

    /// <summary>Looks at the volume and decides what the server loads from it.</summary>
    private async Task<RedisPodTarget> LookAtVolumeAsync(RedisPodTarget target, PodShell shell, bool isHelper, CancellationToken cancellationToken)
    {
        DatabaseWorkload workload = target.Workload;
        (string? file, IReadOnlyList<string> arguments, bool isAll) = ReadWords(workload);
        string? running = target.Settings?.GetValueOrDefault("dir");
        RedisPodVolume volume = await RedisPodVolume.LookAsync(shell, workload, running, file is null ? [] : [file], cancellationToken).ConfigureAwait(false);
        RedisConfiguration configuration = new();
        if (file is not null)
        {
            isAll &= volume.Files is [var text] && configuration.AddText(file, text);
        }

        configuration.AddArguments(arguments);
        OfflineSettings settings = new(configuration, target.Settings, keepsRunning: !isAll, isWrittenKnown: isAll);
        if (running is null && settings["dir"] is { } written and not ("" or ".") && written != volume.Directory)
        {
            volume = await RedisPodVolume.LookAsync(shell, workload, written, [], cancellationToken).ConfigureAwait(false);
        }

        volume.ThrowIfNotOnClaim(workload);
        string version = volume.Version ?? target.Info?.Version ?? throw new SmcException(
            SmcErrorCode.WorkloadUnsuitable,
            $"The image '{workload.Image}' of '{Name}' has no redis-server that tells its version, so it is not known what it loads.",
            recommendation: "Restore with the method Online.",
            target: Name.ToString());
        ThrowIfOther(volume);
        bool isKnown = isAll || target.Settings is not null;
        List<string> warnings = [.. target.Warnings];
        OfflineChecks checks = new(_connector.Display, Header, warnings);
        checks.CheckVersion(workload.Image, version);
        checks.CheckSettings(settings, target.Info, isKnown);
        CheckRoom(volume, isHelper);
        if (!isHelper)
        {
            CheckUnsaved(target, settings, warnings);
            CheckMemory(workload, settings, warnings);
        }

        return target with
        {
            Volume = volume,
            Warnings = warnings,
            Layout = volume.Journal?.Layout ?? OfflineChecks.CreateLayout(
                settings, volume.Directory, isKnown, volume.Has, Major(version), Header.Redis!.Settings),
        };
    }

    private static int Major(string version) => Version.TryParse(version, out Version? parsed) ? parsed.Major : 0;

    private static JsonNode? StatusOf(DatabaseWorkload workload, KubernetesObject pod) => (pod.Raw["status"]?["containerStatuses"] as JsonArray ?? [])
        .FirstOrDefault(status => (string?)status?["name"] == workload.Container);

    /// <summary>How the workload's object starts the server: its file, its arguments, and whether that is all there is to know.</summary>
    private static (string? File, IReadOnlyList<string> Arguments, bool IsAll) ReadWords(DatabaseWorkload workload)
    {
        bool isAll = true;
        List<string> words = [];
        foreach (string word in workload.Words)
        {
            // What comes from a Secret is not known here, and with it not the setting that it is of.
            string expanded = VariablePattern().Replace(word, match => workload.Variable(match.Groups[1].Value) ?? match.Value);
            if (VariablePattern().IsMatch(expanded))
            {
                isAll = false;
                int setting = words.FindLastIndex(static each => each.StartsWith("--", StringComparison.Ordinal));
                words.RemoveRange(Math.Max(0, setting), words.Count - Math.Max(0, setting));
                continue;
            }

            words.Add(expanded);
        }

        int program = words.FindIndex(static word => s_programs.Contains(word.Split('/')[^1]));
        if (words.Count > 0 && program < 0 && !words[0].StartsWith('-') && !words[0].EndsWith(".conf", StringComparison.Ordinal))
        {
            // A shell or a script decides.
            return (null, [], false);
        }

        string[] rest = [.. words.Skip(program + 1)];
        string? file = rest.FirstOrDefault() is { } first && !first.StartsWith('-') ? first : null;
        // Images of the project start the server without any file where nothing is said; others bring one.
        return (file, file is null ? rest : rest[1..], isAll && (words.Count > 0 || workload.Image.Split('/')[^1].StartsWith("redis:", StringComparison.Ordinal)));
    }

    private void ThrowIfOther(RedisPodVolume volume)
    {
        if (volume.Journal is { } interrupted && (interrupted.RepositoryId != _repositoryId || interrupted.BackupId != Header.Id))
        {
            throw interrupted.Unfinished("Another backup cannot be restored on top of it.");
        }
    }

    private void CheckRoom(RedisPodVolume volume, bool isHelper)
    {
        if (isHelper && !volume.IsWritable)
        {
            throw new SmcException(
                SmcErrorCode.WorkloadUnsuitable,
                $"The account of the container of '{Name}' may not write to the data directory '{volume.Directory}'.",
                recommendation: "Set fsGroup in the pod's securityContext to the group of the data directory.",
                target: Name.ToString());
        }

        long needed = volume.Journal is { Phase: >= OfflinePhase.Fetched } ? 0 : Header.SizeBytes + Margin;
        if (volume.AvailableBytes < needed)
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"The volume of '{Name}' has room for {DisplayText.Size(volume.AvailableBytes)}, and the restore needs {DisplayText.Size(needed)} beside what is there, which stays.",
                recommendation: "Enlarge the volume claim (kubectl edit pvc, where its class allows that), or remove what earlier restores have left in the data directory (names with .before-).",
                target: Name.ToString());
        }
    }

    private static void CheckUnsaved(RedisPodTarget target, OfflineSettings settings, List<string> warnings)
    {
        // A server that is asked to end by a signal saves first where it has save points (server.c, finishShutdown).
        if (target.Info?.Number("rdb_changes_since_last_save") is > 0 and { } changes && target.Info.Number("aof_enabled") is not 1 &&
            settings.Running("save") is { Length: 0 })
        {
            warnings.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"The server has made {changes:N0} changes since it last saved, and does not save when it ends (save \"\"). They are in no file: run BGSAVE or take a backup first if they could be needed."));
        }
    }

    private void CheckMemory(DatabaseWorkload workload, OfflineSettings settings, List<string> warnings)
    {
        if (Header.Redis!.Content?.UsedMemory is not { } used)
        {
            return;
        }

        if (OfflineSettings.ParseSize(settings["maxmemory"]) is > 0 and { } maximum && used > maximum)
        {
            warnings.Add($"The server that was backed up used {DisplayText.Size(used)}, and maxmemory is {DisplayText.Size(maximum)} here.");
        }

        if (workload.MemoryLimit is { } limit && used > limit)
        {
            warnings.Add($"The server that was backed up used {DisplayText.Size(used)}, and the container may take {DisplayText.Size(limit)}: it would be ended while it loads.");
        }
    }

    private IEnumerable<string> Describe(KubernetesClient client, RedisPodTarget target)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        if (target.Interrupted is { } interrupted)
        {
            yield return string.Create(culture, $"Continue the restore of {interrupted.StartTime:yyyy-MM-dd HH:mm:ss}Z that was interrupted after the phase {interrupted.Phase}.");
        }

        if (!target.IsRunningRestored)
        {
            yield return target.Workload.IsStopped
                ? $"'{Name}' in the namespace '{_options.Namespace}' of {client.Access.Display} is stopped; make sure that its pods are gone."
                : $"Scale '{Name}' in the namespace '{_options.Namespace}' of {client.Access.Display} to 0, and wait until its pod is gone.";
            yield return $"Start the helper pod '{HelperPod.NameOf(Name)}' with the image '{target.Workload.Image}' on the volume claim {string.Join(", ", target.Workload.Claims.Select(static mount => $"'{mount.Claim}'").Distinct())}.";
            if (target.Volume is null)
            {
                yield return "Look whether the volume has room and what is on it: no pod runs that could be asked now.";
            }

            string keys = Header.Redis!.Content is { } content ? string.Create(culture, $"{content.Keys:N0} keys, ") : "";
            yield return $"Bring the RDB of backup '{Header.Id}' of {DisplayText.Time(Header.StopTime)} ({keys}{DisplayText.Size(Header.SizeBytes)}) to {(target.Layout is null ? "the volume" : $"'{target.Layout.DataDirectory}'")}, and check it.";
            yield return target.Layout is { } layout
                ? $"Move aside what is there of {string.Join(", ", layout.Names.Select(static name => $"'{name}'"))}, on the same volume, and put the RDB in place as {(layout.IsAppendOnly ? $"the beginning of the append-only file '{layout.PlacedName}'" : $"'{layout.PlacedName}'")}."
                : "Move aside what the server has, on the same volume, and put the RDB in place as what it loads when it starts.";
            yield return "Remove the helper pod.";
        }

        yield return string.Create(culture, $"Scale '{Name}' back to {Math.Max(1, target.Workload.Replicas)}, wait until Redis has loaded the data, and compare keys and values.");
    }

    // $(NAME), as the kubelet expands it.
    [GeneratedRegex(@"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", RegexOptions.CultureInvariant)]
    private static partial Regex VariablePattern();

    /// <summary>One restore.</summary>
    private sealed class Execution(RedisPodRestore owner, KubernetesClient client, RedisPodTarget target, IOperationObserver observer)
    {
        private readonly ClusterWorkloads _workloads = new(
            client,
            owner._options.Namespace,
            new WorkloadOptions { Timeout = owner._options.WorkloadTimeout, Reason = Suspension.ByRecovery, PollInterval = owner._options.PollInterval },
            observer);

        private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
        private readonly long _begin = Stopwatch.GetTimestamp();
        private readonly int _replicas = Math.Max(1, target.Workload.Replicas);
        private string _step = "";
        private bool _isStopped;
        private bool _isExchanging;
        private OfflineLayout? _layout;
        private IReadOnlyList<SampledKey>? _sample;
        private bool _hasFetched;
        private OfflineJournal? _journal = target.Interrupted;
        private IReadOnlyList<string> _previous = [];

        private WorkloadName Name => owner.Name;

        private RedisPodRestoreOptions Options => owner._options;

        public async Task<RedisRestoreResult> RunAsync(CancellationToken cancellationToken)
        {
            try
            {
                return await CarryOutAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code != SmcErrorCode.RestoreUndone)
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

        public async Task UndoAsync(CancellationToken cancellationToken)
        {
            Begin("Stop Redis");
            await _workloads.SuspendAsync(Name, cancellationToken).ConfigureAwait(false);
            string? kept = null;
            await WithHelperAsync(
                async volume =>
                {
                    OfflineJournal journal = volume.Journal ?? throw new SmcException(
                        SmcErrorCode.TargetUnsuitable,
                        $"No restore was interrupted on the volume of '{Name}', so there is nothing to take back.",
                        recommendation: $"'{Name}' is stopped: Resume-SmcWorkload (or 'smcdr workload resume') starts it. What Redis had before a restore that was finished lies beside its files: the names end with .before- and the time.",
                        target: Name.ToString());
                    Begin("Put back what Redis had");
                    kept = await new RedisPodRun(volume, journal, Options, observer).UndoAsync(cancellationToken).ConfigureAwait(false);
                    _journal = null;
                },
                cancellationToken).ConfigureAwait(false);
            Begin("Start Redis");
            await ScaleUpAsync(cancellationToken).ConfigureAwait(false);
            await WaitUntilLoadedAsync(cancellationToken).ConfigureAwait(false);
            observer.Verbose($"'{Name}' runs with what it had before.{(kept is null ? "" : $" What was restored lies in '{kept}' on its volume.")}");
        }

        private async Task<RedisRestoreResult> CarryOutAsync(CancellationToken cancellationToken)
        {
            OfflineLayout? layout = target.Layout;
            if (!target.IsRunningRestored)
            {
                Begin("Stop Redis");
                _isStopped = true;
                await _workloads.SuspendAsync(Name, cancellationToken).ConfigureAwait(false);
                await WithHelperAsync(volume => ExchangeAsync(volume, cancellationToken), cancellationToken).ConfigureAwait(false);
                layout = _journal!.Layout;
            }
            else
            {
                _previous = new RedisPodRun(target.Volume!, _journal!, Options, observer).Previous;
            }

            Begin("Start Redis");
            long loading = Stopwatch.GetTimestamp();
            RedisInfo info;
            try
            {
                await ScaleUpAsync(cancellationToken).ConfigureAwait(false);
                info = await WaitUntilLoadedAsync(cancellationToken).ConfigureAwait(false);
                _isStopped = false;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ServerStartFailed)
            {
                throw await GoBackAsync(e, cancellationToken).ConfigureAwait(false);
            }

            double seconds = Stopwatch.GetElapsedTime(loading).TotalSeconds;
            Begin("Compare");
            OfflineVerification verification = new(owner.Header, layout!);
            verification.Compare(info);
            // Of files that an earlier process has fetched nobody has chosen any.
            IReadOnlyList<SampledKey>? sample = _hasFetched
                ? _sample
                : await OfflineSample.ReadAsync(owner._backup, Options.SampleSize, observer, cancellationToken).ConfigureAwait(false);
            string? notCompared = await verification.CompareAsync(owner._connector, sample, observer, cancellationToken).ConfigureAwait(false);
            if (notCompared is not null)
            {
                observer.Warning(notCompared);
            }

            foreach (string previous in _previous)
            {
                observer.Verbose($"What the server had before lies in '{previous}' on the volume of '{Name}'. Remove it there when it is not needed any more (kubectl exec … rm -r).");
            }

            int warnings = target.Warnings.Count + (target.SuspendFirst is null ? 0 : 1) + (notCompared is null ? 0 : 1) + (await RemoveJournalAsync(layout!, cancellationToken).ConfigureAwait(false) ? 0 : 1);
            RedisContent? content = owner.Header.Redis!.Content;
            return new RedisRestoreResult
            {
                BackupId = owner.Header.Id,
                Method = owner.Method,
                Target = owner._connector.Display,
                State = verification.Problems.Count == 0 ? "Complete" : "Partial",
                KeysRestored = verification.Restored,
                KeysExpired = verification.Expired,
                KeysSkipped = 0,
                KeysFailed = verification.Failed,
                SizeBytes = content?.Bytes ?? owner.Header.SizeBytes,
                Databases = string.Join(", ", (content?.Databases.Select(static database => database.Database) ?? info.Databases.Select(static database => database.Database)).Order()),
                Functions = (int)(info.Number("number_of_libraries") ?? 0),
                Verified = verification.Problems.Count > 0 ? false : verification.IsCompared ? true : null,
                SampledKeys = verification.SampledKeys,
                MismatchedKeys = verification.MismatchedKeys,
                WarningCount = warnings,
                Problems = verification.Problems,
                SuspendFirst = target.SuspendFirst,
                StartTime = _start,
                Duration = Stopwatch.GetElapsedTime(_begin),
                KeysPerSecond = seconds > 0 ? verification.Restored / seconds : 0,
                BytesPerSecond = seconds > 0 ? (content?.Bytes ?? owner.Header.SizeBytes) / seconds : 0,
            };
        }

        private async Task WithHelperAsync(Func<RedisPodVolume, Task> work, CancellationToken cancellationToken)
        {
            Begin("Start the helper pod");
            DatabaseWorkload workload = await owner.ReadAsync(client, cancellationToken).ConfigureAwait(false);
            HelperPod helper = await HelperPod.StartAsync(client, workload, Options.Helper, observer, cancellationToken).ConfigureAwait(false);
            await using (helper.ConfigureAwait(false))
            {
                try
                {
                    Begin("Look at the volume");
                    RedisPodTarget there = await owner.LookAtVolumeAsync(
                        target with { Workload = workload, Warnings = [] }, new PodShell(client, helper.Target, observer), isHelper: true, cancellationToken).ConfigureAwait(false);
                    _layout = there.Layout;
                    await work(there.Volume!).ConfigureAwait(false);
                }
                catch (SmcException e) when (e.Code is SmcErrorCode.PodStreamBroken or SmcErrorCode.PodCommandFailed or SmcErrorCode.ResourceNotFound
                    or SmcErrorCode.PodTransferFailed or SmcErrorCode.ClusterUnavailable)
                {
                    // A pod that is gone is met in many ways; that it is gone says most.
                    throw await helper.ExplainAsync().ConfigureAwait(false) is { } why
                        ? new SmcException(SmcErrorCode.PodStreamBroken, $"{why} What was met of it: {e.Message}", e, target: e.Target)
                        : e;
                }
            }
        }

        private async Task ExchangeAsync(RedisPodVolume volume, CancellationToken cancellationToken)
        {
            DateTimeOffset now = DateTimeOffset.UtcNow;
            _journal = volume.Journal ?? new OfflineJournal
            {
                Phase = OfflinePhase.Begun,
                RepositoryId = owner._repositoryId,
                BackupId = owner.Header.Id,
                StartTime = now,
                Layout = _layout!,
                Start = new OfflineStart(),
                WasRunning = true,
                AsideSuffix = RedisPodRun.CreateSuffix(volume, _layout!, now),
            };
            RedisPodRun run = new(volume, _journal, Options, observer);
            try
            {
                Begin("Bring the RDB to the volume");
                await run.FetchAsync(owner._backup, cancellationToken).ConfigureAwait(false);
                Begin("Exchange the files");
                _isExchanging = true;
                await run.ExchangeAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                (_journal, _previous, _sample, _hasFetched) = (run.Journal, run.Previous, run.Sample, run.HasFetched);
            }
        }

        private async Task ScaleUpAsync(CancellationToken cancellationToken)
        {
            WorkloadInfo info = await _workloads.GetAsync(Name, cancellationToken).ConfigureAwait(false);
            if (info.SuspendedTime is null && info.Replicas == 0)
            {
                // It was scaled to none by hand, before.
                await client.SetScaleAsync(
                    await ClusterWorkloads.ResourceOfAsync(client, Name.Kind, cancellationToken).ConfigureAwait(false),
                    Options.Namespace, Name.Name, _replicas, cancellationToken).ConfigureAwait(false);
            }

            await _workloads.ResumeAsync(Name, wait: false, cancellationToken).ConfigureAwait(false);
        }

        /// <summary>Waits until a server answers that has loaded its data.</summary>
        /// <exception cref="SmcException">
        /// <see cref="SmcErrorCode.ServerStartFailed"/>: it ends again and again. <see cref="SmcErrorCode.PodNotStarted"/>: it is not ready in time.
        /// </exception>
        private async Task<RedisInfo> WaitUntilLoadedAsync(CancellationToken cancellationToken)
        {
            long began = Stopwatch.GetTimestamp();
            KubernetesResource resource = await ClusterWorkloads.ResourceOfAsync(client, Name.Kind, cancellationToken).ConfigureAwait(false);
            while (true)
            {
                KubernetesObject item = await client.GetAsync(resource, Options.Namespace, Name.Name, cancellationToken).ConfigureAwait(false);
                List<KubernetesObject> pods = await _workloads.ListPodsAsync(Name, item, cancellationToken).ConfigureAwait(false);
                if (pods.Exists(static pod => pod.DeletionTime is null && PodTrouble.IsReady(pod)) &&
                    await TryReadInfoAsync(cancellationToken).ConfigureAwait(false) is { IsLoading: false } info)
                {
                    return info;
                }

                if (pods.Find(pod => (int?)StatusOf(target.Workload, pod)?["restartCount"] >= MaximumRestarts && !PodTrouble.IsReady(pod)) is { } failing)
                {
                    throw new SmcException(
                        SmcErrorCode.ServerStartFailed,
                        $"Redis in '{Name}' does not start: {failing.Name}: {PodTrouble.Describe(failing)}.{await QuoteLogAsync(failing, cancellationToken).ConfigureAwait(false)}",
                        recommendation: "Read the server's log, correct what it names, and run the command again.",
                        target: Name.ToString());
                }

                if (Stopwatch.GetElapsedTime(began) > Options.WorkloadTimeout)
                {
                    string why = string.Join("; ", pods.Where(static pod => !PodTrouble.IsReady(pod)).Take(3).Select(static pod => $"{pod.Name}: {PodTrouble.Describe(pod)}"));
                    throw new SmcException(
                        SmcErrorCode.PodNotStarted,
                        string.Create(CultureInfo.InvariantCulture, $"'{Name}' in the namespace '{Options.Namespace}' is started, and Redis has not answered after {Options.WorkloadTimeout.TotalSeconds:0} seconds{(why.Length > 0 ? $" ({why})" : "")}."),
                        target: Name.ToString());
                }

                observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, $"Waiting until Redis in '{Name}' has loaded its data"));
                await Task.Delay(Options.PollInterval, cancellationToken).ConfigureAwait(false);
            }
        }

        private async Task<RedisInfo?> TryReadInfoAsync(CancellationToken cancellationToken)
        {
            try
            {
                RedisConnection connection = await owner._connector.OpenAsync(cancellationToken).ConfigureAwait(false);
                await using (connection.ConfigureAwait(false))
                {
                    return await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut)
            {
                return null;
            }
        }

        private async Task<string> QuoteLogAsync(KubernetesObject pod, CancellationToken cancellationToken)
        {
            // What ran last is the present one until the next is started.
            foreach (bool previous in new[] { false, true })
            {
                try
                {
                    Stream log = await client.OpenLogAsync(
                        pod.Namespace, pod.Name, new LogOptions { Container = target.Workload.Container, Previous = previous, TailLines = 50 }, cancellationToken)
                        .ConfigureAwait(false);
                    using StreamReader reader = new(log, Encoding.UTF8);
                    string[] lines = RedisLog.LastLines(await reader.ReadToEndAsync(cancellationToken).ConfigureAwait(false));
                    if (lines.Length > 0)
                    {
                        return $" Its log ends: {string.Join(" | ", lines.Select(static line => KubeText.Clean(line, 300)))}";
                    }
                }
                catch (Exception e) when (e is SmcException or IOException)
                {
                    // Whoever may not read logs is told what the pod's state says.
                    observer.Verbose($"The log of the pod '{pod.Name}' cannot be read: {e.Message}");
                }
            }

            return $" Its log: kubectl --namespace {pod.Namespace} logs {pod.Name} --previous.";
        }

        /// <summary>Gives a server that does not start with the restored data what it had, and says so.</summary>
        private async Task<SmcException> GoBackAsync(SmcException cause, CancellationToken cancellationToken)
        {
            observer.Warning($"{cause.Message} What it had before is put back.");
            try
            {
                await UndoAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                return new SmcException(
                    SmcErrorCode.RestoreUnfinished,
                    $"{cause.Message} What Redis had before could not be put back either: {e.Message}",
                    cause,
                    cause.Recommendation,
                    Name.ToString());
            }

            return new SmcException(
                SmcErrorCode.RestoreUndone,
                $"{cause.Message} What Redis had before is back on the volume of '{Name}', and the server runs with it.",
                cause,
                cause.Recommendation,
                Name.ToString());
        }

        /// <summary>Removes the journal in the server's own pod: nothing is left to do.</summary>
        private async Task<bool> RemoveJournalAsync(OfflineLayout layout, CancellationToken cancellationToken)
        {
            string path = $"{layout.DataDirectory}/{OfflineNames.JournalName}";
            try
            {
                DatabaseWorkload workload = await owner.ReadAsync(client, cancellationToken).ConfigureAwait(false);
                List<KubernetesObject> pods = await _workloads.ListPodsAsync(Name, workload.Item, cancellationToken).ConfigureAwait(false);
                if (pods.Find(static pod => pod.DeletionTime is null && PodTrouble.IsReady(pod)) is { } pod)
                {
                    await new PodShell(client, new PodTarget(pod.Namespace, pod.Name, workload.Container), observer)
                        .RunAsync($"Removing '{path}'", "rm -f -- \"$1\"", cancellationToken, path).ConfigureAwait(false);
                    return true;
                }
            }
            catch (SmcException e)
            {
                observer.Verbose(e.Message);
            }

            observer.Warning($"The journal '{path}' could not be removed from the volume of '{Name}'. The restore is complete; until that file is removed, the next one continues it.");
            return false;
        }

        private void Begin(string step)
        {
            _step = step;
            observer.Verbose($"{step}.");
        }

        private string Describe()
        {
            string stopped = _isStopped ? $" '{Name}' is stopped, or starting." : "";
            return _journal is { Phase: >= OfflinePhase.Placed }
                ? $"The restored files are in place{(_previous.Count == 0 ? "" : $", and what was there before lies in {string.Join(", ", _previous)} on the same volume")}.{stopped}"
                : _isExchanging || _journal is { Phase: OfflinePhase.Fetched }
                    ? $"What Redis had is on the volume, under its names or with {_journal!.AsideSuffix} behind them, and what is to take its place is there, too.{stopped}"
                    : _isStopped ? $"The data on the volume is as it was.{stopped}" : "";
        }

        private string GoOn()
        {
            string start = string.Create(CultureInfo.InvariantCulture, $"kubectl --namespace {Options.Namespace} scale {Name} --replicas={_replicas}.");
            return _journal is { Phase: >= OfflinePhase.Fetched } || _isExchanging
                ? $"The same command goes on from here. To go back instead, start a pod with the volume, give what ends with {_journal!.AsideSuffix} its name without that, remove '{_journal.Layout.DataDirectory}/{OfflineNames.JournalName}', and {start}"
                : _isStopped ? $"The same command goes on from here. To go back instead: {start}" : "";
        }
    }
}
