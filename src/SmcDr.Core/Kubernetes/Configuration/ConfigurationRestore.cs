using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Restores a configuration, or parts of it: level by level, many objects of a level at a time. What is as it was is left alone, so that the same call goes on
/// where an interrupted one stopped, and changes nothing when it is done.
/// </summary>
public static class ConfigurationRestore
{
    private const string Activity = "Configuration restore";
    private const int Waiting = 256;

    /// <summary>So many objects of a kind in a namespace are rather listed than asked for one by one.</summary>
    private const int ListFrom = 8;

    /// <summary>So many failures of the server in a row are not those of single objects.</summary>
    private const int MaximumFailures = 5;

    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    /// <summary>Restores, or finds out what a restore would do.</summary>
    /// <param name="client">The cluster. Patient with a server that is away for a moment, if the restore is to be.</param>
    /// <param name="reader">The backup.</param>
    /// <param name="options">What, where to, and how.</param>
    /// <param name="observer">Told of progress, decisions and warnings.</param>
    /// <param name="cancellationToken">Stops the work; the same call continues it.</param>
    /// <returns>Each object, as soon as it is done. A failure of one does not stop the others.</returns>
    /// <exception cref="SmcException">
    /// The backup is damaged; the cluster cannot be asked, or does not accept the credentials any more; <see cref="SmcErrorCode.NamespaceTerminating"/>.
    /// </exception>
    public static async IAsyncEnumerable<ConfigurationRestoreResult> RunAsync(
        KubernetesClient client,
        BackupReader reader,
        ConfigurationRestoreOptions options,
        IOperationObserver observer,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        ConfigurationSource source = await ConfigurationSource.OpenAsync(reader, cancellationToken).ConfigureAwait(false);
        Channel<ConfigurationRestoreResult> results = Channel.CreateBounded<ConfigurationRestoreResult>(Waiting);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task work = Task.Run(() => new Run(client, source, options, observer, results.Writer).ExecuteAsync(stop.Token), CancellationToken.None);
        try
        {
            await foreach (ConfigurationRestoreResult result in results.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }
        finally
        {
            // Also where nobody wants further results: no request is under way when this returns.
            await stop.CancelAsync().ConfigureAwait(false);
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            observer.Progress(new OperationProgress(Activity, "", Unit: ProgressUnit.Items) { IsCompleted = true });
        }

        await work.ConfigureAwait(false);
    }

    /// <summary>One restore.</summary>
    private sealed class Run(
        KubernetesClient client,
        ConfigurationSource source,
        ConfigurationRestoreOptions options,
        IOperationObserver observer,
        ChannelWriter<ConfigurationRestoreResult> results)
    {
        private static readonly string s_definitions = "customresourcedefinitions.apiextensions.k8s.io";

        private readonly NamespaceMapper _mapper = new(options.NamespaceMapping);
        private readonly ConcurrentBag<string> _definitions = [];
        private readonly ConcurrentDictionary<string, bool> _absentNamespaces = new(StringComparer.Ordinal);
        private ConcurrentQueue<Failure> _failures = [];
        private ResourceCatalog _catalog = null!;
        private ObjectMatcher _matcher = null!;
        private ObjectApplier _applier = null!;
        private LiveIndex _index = null!;
        private Dictionary<string, int> _folders = [];
        private HashSet<string> _kinds = [];
        private long _done;
        private int _failuresInARow;
        private int _isGitOpsTold;
        private int _isTextTold;

        public async Task ExecuteAsync(CancellationToken cancellationToken)
        {
            try
            {
                await RestoreAsync(cancellationToken).ConfigureAwait(false);
                await TellFailuresAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                await TellFailuresAsync(cancellationToken).ConfigureAwait(false);
                if (IsFatal(e) && Interlocked.Read(ref _done) > 0 && !options.DryRun)
                {
                    throw Interrupted(e);
                }

                throw;
            }
            finally
            {
                // The reader of the results hears of a failure behind the last of them.
                results.Complete();
            }
        }

        private static bool IsFatal(SmcException exception) =>
            exception.Code is SmcErrorCode.ClusterAuthenticationFailed or SmcErrorCode.ClusterUnavailable;

        private SmcException Interrupted(SmcException cause) => new(
            cause.Code,
            string.Create(
                CultureInfo.InvariantCulture,
                $"The restore of '{source.Header.Id}' was interrupted after {Interlocked.Read(ref _done)} of {source.Entries.Count} objects: {cause.Message}"),
            cause,
            $"{cause.Recommendation} Then run the restore again: what is done is not sent again.",
            cause.Target);

        private async Task RestoreAsync(CancellationToken cancellationToken)
        {
            string[] spaces = [.. source.Details.Namespaces.Select(_mapper.Map).Distinct(StringComparer.Ordinal)];
            foreach (string from in _mapper.Sources.Where(from => !source.Details.Namespaces.Contains(from)))
            {
                throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"The backup '{source.Header.Id}' holds {ConfigurationBackup.Names(source.Details.Namespaces)}, and not '{from}', which is to become '{_mapper.Map(from)}'.",
                    target: from);
            }

            _catalog = await client.GetCatalogAsync(refresh: true, cancellationToken).ConfigureAwait(false);
            _matcher = new ObjectMatcher(options.Filter, _catalog, _mapper);
            ScaledWorkloads scaled = await ScaledWorkloads.LoadAsync(client, spaces, cancellationToken).ConfigureAwait(false);
            _applier = new ObjectApplier(client, options, scaled, _mapper);
            _kinds = [.. source.Entries.Select(static entry => ConfigurationPaths.ResourceOf(entry.Path)).Distinct()];
            foreach (IGrouping<string, ManifestEntry> level in source.Entries
                .GroupBy(static entry => ConfigurationPaths.LevelOf(entry.Path) ?? ConfigurationLevel.Volumes)
                .OrderBy(static level => level.Key, StringComparer.Ordinal))
            {
                await RestoreAllAsync([.. level], cancellationToken).ConfigureAwait(false);
                if (level.Key == ConfigurationLevel.Definitions)
                {
                    await EstablishAsync(cancellationToken).ConfigureAwait(false);
                }
                else if (level.Key == ConfigurationLevel.Namespaces)
                {
                    await CheckNamespacesAsync(spaces, cancellationToken).ConfigureAwait(false);
                }
            }

            await TryAgainAsync(cancellationToken).ConfigureAwait(false);
        }

        private async Task RestoreAllAsync(IReadOnlyList<ManifestEntry> entries, CancellationToken cancellationToken)
        {
            _index = new LiveIndex(client, observer);
            _folders = entries.GroupBy(static entry => FolderOf(entry)).ToDictionary(static folder => folder.Key, static folder => folder.Count());
            await foreach (IReadOnlyList<StoredDocument> window in source.ReadAsync(entries, cancellationToken).ConfigureAwait(false))
            {
                await Parallel.ForEachAsync(
                    window,
                    new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, options.Parallelism), CancellationToken = cancellationToken },
                    async (document, token) => await RestoreOneAsync(document, token).ConfigureAwait(false)).ConfigureAwait(false);
                observer.Progress(new OperationProgress(
                    Activity, ConfigurationPaths.ResourceOf(window[^1].Entry.Path), Interlocked.Read(ref _done), source.Entries.Count, ProgressUnit.Items));
            }
        }

        private static string FolderOf(ManifestEntry entry) => entry.Path[..entry.Path.LastIndexOf('/')];

        private async Task RestoreOneAsync(StoredDocument document, CancellationToken cancellationToken)
        {
            KubernetesObject item = document.Item;
            string kind = ConfigurationPaths.ResourceOf(document.Entry.Path);
            bool isWanted = _matcher.Matches(kind, item);
            if (!isWanted && !IsNeeded(kind, item))
            {
                Interlocked.Increment(ref _done);
                return;
            }

            _mapper.Apply(item);
            try
            {
                ObjectOutcome? outcome = await RestoreOneAsync(document, kind, item, onlyIfAbsent: !isWanted, cancellationToken).ConfigureAwait(false);
                Interlocked.Exchange(ref _failuresInARow, 0);
                Interlocked.Increment(ref _done);
                if (outcome is not null)
                {
                    if (kind == s_definitions && outcome.Action != ObjectOutcome.Same && !outcome.NeedsReplace)
                    {
                        _definitions.Add(item.Name);
                    }

                    await results.WriteAsync(ToResult(item, outcome), cancellationToken).ConfigureAwait(false);
                }
            }
            catch (SmcException e) when (IsOfOneObject(e))
            {
                _failures.Enqueue(new Failure(document.Entry, item, e));
            }
        }

        /// <summary>Whether a failure is one of a single object, and others may do better.</summary>
        private bool IsOfOneObject(SmcException exception) => exception.Code switch
        {
            SmcErrorCode.ClusterAuthenticationFailed or SmcErrorCode.NamespaceTerminating or SmcErrorCode.KubeconfigInvalid
                or SmcErrorCode.SecretUnavailable => false,
            SmcErrorCode.ClusterUnavailable =>
                KubernetesStatusException.Of(exception) is not null && Interlocked.Increment(ref _failuresInARow) < MaximumFailures,
            _ => !SmcErrors.IsDamage(exception.Code),
        };

        /// <summary>Whether what was chosen cannot be without an object that was not: its namespace, the definition of its kind.</summary>
        private bool IsNeeded(string kind, KubernetesObject item) => kind == KubernetesResource.Namespaces.FullName
            || (kind == s_definitions && _kinds.Contains(item.Name) && _matcher.MatchesKind(item.Name, item.Raw.TextAt("spec", "names", "kind")));

        private async Task<ObjectOutcome?> RestoreOneAsync(
            StoredDocument document, string kind, KubernetesObject item, bool onlyIfAbsent, CancellationToken cancellationToken)
        {
            if (kind == "persistentvolumes")
            {
                if (!_mapper.IsEmpty)
                {
                    return Skipped("A volume stays with the claim that it belongs to; a claim in another namespace gets one of its own.");
                }

                if (ConfigurationPaths.LevelOf(document.Entry.Path) is null && !options.RestoreVolumes)
                {
                    return Skipped("The volume was made for its claim and is deleted with it; -RestoreVolume (--restore-volumes) is for storage that was kept.");
                }
            }

            KubernetesResource? resource = FindResource(item, out string? detail);
            if (resource is null)
            {
                return options.DryRun && _definitions.Contains(kind)
                    ? new ObjectOutcome(ObjectOutcome.Create, []) { Detail = "Its kind is not there yet, so the cluster could not be asked." }
                    : throw NoKind(item);
            }

            if (options.DryRun && item.Namespace is string space && _absentNamespaces.ContainsKey(space))
            {
                return new ObjectOutcome(ObjectOutcome.Create, []) { Detail = "Its namespace is not there yet, so the cluster could not be asked." };
            }

            TellOnce(item);
            bool mayExist = true;
            if (_folders.GetValueOrDefault(FolderOf(document.Entry)) >= ListFrom && !onlyIfAbsent
                && await _index.GetAsync(resource, item.Namespace, cancellationToken).ConfigureAwait(false) is { } index)
            {
                mayExist = index.TryGetValue(item.Name, out Hash256 live);
                // A document that was moved has another digest than the stored one.
                if (mayExist && !HeldWorkload.TryFind(options, item, out string _) &&
                    live == (_mapper.IsEmpty && detail is null ? document.Hash : Hash256.Compute(YamlText.Write(item.Raw))))
                {
                    return new ObjectOutcome(ObjectOutcome.Same, []);
                }
            }

            if (onlyIfAbsent
                && await client.TryGetAsync(resource, item.Namespace, item.Name, cancellationToken).ConfigureAwait(false) is { DeletionTime: null })
            {
                return null;
            }

            ObjectOutcome outcome = await _applier.ApplyAsync(resource, item, mayExist, cancellationToken).ConfigureAwait(false);
            return detail is null ? outcome : outcome with { Detail = string.Join(' ', (string?[])[outcome.Detail, detail]).Trim() };
        }

        private static ObjectOutcome Skipped(string why) => new(ObjectOutcome.Skip, []) { Detail = why };

        /// <summary>
        /// The kind as the cluster has it. Kinds of Kubernetes itself are taken over into the version that the cluster has, which the server checks field by
        /// field; what a version of somebody's own kind means only its owner knows.
        /// </summary>
        private KubernetesResource? FindResource(KubernetesObject item, out string? detail)
        {
            detail = null;
            string version = item.ApiVersion;
            if (_catalog.Find(version, item.Kind) is KubernetesResource exact)
            {
                return exact;
            }

            string group = ConfigurationLevel.GroupOf(version);
            KubernetesResource? other = ConfigurationLevel.IsBuiltIn(group)
                ? _catalog.Preferred.FirstOrDefault(resource => resource.Group == group && resource.Kind == item.Kind)
                : null;
            if (other is not null)
            {
                detail = $"The backup has it as {version}, and the cluster as {other.ApiVersion}.";
                item.Raw["apiVersion"] = other.ApiVersion;
            }

            return other;
        }

        private SmcException NoKind(KubernetesObject item)
        {
            try
            {
                _ = _catalog.Get(item.ApiVersion, item.Kind);
            }
            catch (SmcException e)
            {
                return e;
            }

            return new SmcException(SmcErrorCode.ResourceNotFound, $"The cluster has no kind '{item.Kind}'.");
        }

        /// <summary>What an operator should know of the whole, and not of each object.</summary>
        private void TellOnce(KubernetesObject item)
        {
            bool isGitOps = item.Labels.ContainsKey("argocd.argoproj.io/instance") || item.Annotations.ContainsKey("argocd.argoproj.io/tracking-id")
                || item.Labels.ContainsKey("kustomize.toolkit.fluxcd.io/name") || item.Labels.ContainsKey("helm.toolkit.fluxcd.io/name");
            if (isGitOps && !options.DryRun && Interlocked.Exchange(ref _isGitOpsTold, 1) == 0)
            {
                observer.Warning($"'{item}' is deployed from a repository (Argo CD or Flux), which may undo what is restored: suspend that, or correct it there.");
            }

            if (!_mapper.IsEmpty && item.Kind != "Secret" && Volatile.Read(ref _isTextTold) == 0)
            {
                string text = item.Raw.ToJsonString();
                if (_mapper.Sources.FirstOrDefault(from => text.Contains($".{from}.svc", StringComparison.Ordinal)) is string from
                    && Interlocked.Exchange(ref _isTextTold, 1) == 0)
                {
                    observer.Warning($"'{item}' names services of the namespace '{from}' in its text, which still lead there: look for '.{from}.svc' in what was restored.");
                }
            }
        }

        private async Task EstablishAsync(CancellationToken cancellationToken)
        {
            if (_definitions.IsEmpty || options.DryRun || _catalog.Find(s_definitions) is not KubernetesResource resource)
            {
                return;
            }

            long start = TimeProvider.System.GetTimestamp();
            foreach (string name in _definitions)
            {
                bool isEstablished = await client.WaitAsync(
                    resource,
                    null,
                    name,
                    static definition => definition?.Raw.At("status", "conditions").Maps().Any(static condition =>
                        condition.TextAt("type") == "Established" && condition.TextAt("status") == "True") == true,
                    options.EstablishedTimeout,
                    cancellationToken).ConfigureAwait(false);
                if (!isEstablished)
                {
                    observer.Warning($"The kind '{name}' cannot be used yet, and its objects may be refused: kubectl describe crd {name} shows why.");
                }
            }

            // What is established is served a moment later.
            do
            {
                _catalog = await client.GetCatalogAsync(refresh: true, cancellationToken).ConfigureAwait(false);
                if (_definitions.All(name => _catalog.Find(name) is not null))
                {
                    break;
                }

                await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
            }
            while (TimeProvider.System.GetElapsedTime(start) < options.EstablishedTimeout);
            _matcher = new ObjectMatcher(options.Filter, _catalog, _mapper);
        }

        /// <summary>Without its namespace nothing is restored, and thousands of failures would say no more than one.</summary>
        private async Task CheckNamespacesAsync(string[] spaces, CancellationToken cancellationToken)
        {
            foreach (string space in spaces)
            {
                if (await client.TryGetAsync(KubernetesResource.Namespaces, null, space, cancellationToken).ConfigureAwait(false) is { DeletionTime: null })
                {
                    continue;
                }

                if (!options.DryRun)
                {
                    throw _failures.FirstOrDefault(failure => failure.Item.Kind == "Namespace" && failure.Item.Name == space)?.Exception
                        ?? new SmcException(SmcErrorCode.ResourceNotFound, $"There is no namespace '{space}' in the cluster '{client.Access.Display}'.", target: space);
                }

                _absentNamespaces[space] = true;
            }
        }

        /// <summary>
        /// Tries once more what may have failed for what was restored after it. A webhook that could not be asked gets some time: its pods have just been made.
        /// </summary>
        private async Task TryAgainAsync(CancellationToken cancellationToken)
        {
            long start = TimeProvider.System.GetTimestamp();
            for (bool isFirst = true; !options.DryRun && _failures.Any(static failure => failure.MayPass); isFirst = false)
            {
                bool isWaiting = _failures.Any(static failure => failure.IsWebhookAway);
                if (!isFirst)
                {
                    if (!isWaiting || TimeProvider.System.GetElapsedTime(start) >= options.WebhookTimeout)
                    {
                        break;
                    }

                    await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
                }

                ConcurrentQueue<Failure> before = _failures;
                _failures = new ConcurrentQueue<Failure>(before.Where(static failure => !failure.MayPass));
                await RestoreAllAsync(
                    [.. before.Where(static failure => failure.MayPass).Select(static failure => failure.Entry)], cancellationToken).ConfigureAwait(false);
            }

        }

        private async Task TellFailuresAsync(CancellationToken cancellationToken)
        {
            while (_failures.TryDequeue(out Failure? failure))
            {
                await results.WriteAsync(
                    ToResult(failure.Item, new ObjectOutcome(ObjectOutcome.Restore, [])) with
                    {
                        State = "Failed",
                        ErrorId = failure.Exception.ErrorId,
                        Error = failure.Exception.Message,
                        Recommendation = failure.Exception.Recommendation,
                    },
                    cancellationToken).ConfigureAwait(false);
            }
        }

        private ConfigurationRestoreResult ToResult(KubernetesObject item, ObjectOutcome outcome) => new()
        {
            BackupId = source.Header.Id,
            Kind = item.Kind,
            ApiVersion = item.ApiVersion,
            Namespace = item.Namespace,
            Name = item.Name,
            Action = outcome.Action,
            State = outcome.NeedsReplace ? "NeedsReplace"
                : outcome.Action == ObjectOutcome.Skip ? "Skipped"
                : options.DryRun ? "Planned" : "Done",
            Changes = [.. outcome.Changes.Select(change => change.ToResult(item.Kind == "Secret"))],
            Detail = outcome.Detail,
            ErrorId = outcome.NeedsReplace ? SmcErrors.Get(SmcErrorCode.ReplaceNeeded).ErrorId : null,
            Recommendation = outcome.NeedsReplace ? SmcErrors.Get(SmcErrorCode.ReplaceNeeded).Recommendation : null,
        };

        private sealed record Failure(ManifestEntry Entry, KubernetesObject Item, SmcException Exception)
        {
            /// <summary>Whether the next attempt may do better, now that all else is there.</summary>
            public bool MayPass => Exception.Code is SmcErrorCode.AdmissionRefused or SmcErrorCode.ResourceNotFound or SmcErrorCode.ResourceConflict
                or SmcErrorCode.ClusterForbidden;

            public bool IsWebhookAway => Exception.Code == SmcErrorCode.AdmissionRefused
                && KubernetesStatusException.Of(Exception)?.Message.Contains("failed calling webhook", StringComparison.Ordinal) == true;
        }
    }
}
