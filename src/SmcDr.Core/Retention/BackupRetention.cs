using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>
/// Removes backups that no rule keeps, what is left of others, and WAL that no backup needs. Safe beside running backups and beside itself,
/// without any lock; docs/architecture.md says why. Killed at any moment, it leaves what is kept restorable, and the next run finishes.
/// </summary>
public sealed partial class BackupRetention
{
    private const string Activity = "Retention";
    private const string Keep = "Keep";
    private const string Remove = "Remove";

    private readonly Repository _repository;
    private readonly RetentionOptions _options;
    private readonly IOperationObserver _observer;
    private readonly BackupProtections _protections;
    private long _deleted;

    public BackupRetention(Repository repository, RetentionOptions? options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(observer);
        _repository = repository;
        _options = options ?? new RetentionOptions();
        _observer = observer;
        _protections = new BackupProtections(repository, _options.Time);
    }

    private IObjectStore Store => _repository.Store;

    /// <summary>Finds out what is to be done. Changes nothing.</summary>
    /// <param name="policy">Which backups are kept; where null, all, and only what was left behind is swept.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<RetentionPlan> PlanAsync(RetentionPolicy? policy, CancellationToken cancellationToken)
    {
        DateTimeOffset now = _options.Time.GetUtcNow();
        List<RetentionResult> items = [];
        List<RetentionPlan.ComponentPlan> plans = [];
        HashSet<string> wal = new(StringComparer.Ordinal);
        foreach (Component component in Enum.GetValues<Component>())
        {
            BackupInventory inventory = await BackupInventory.LoadAsync(_repository, component, cancellationToken).ConfigureAwait(false);
            IReadOnlyDictionary<string, ProtectionState> protections =
                await _protections.ListAsync(component, cancellationToken).ConfigureAwait(false);
            List<BackupFact> facts = [.. Facts(inventory, protections, now)];
            Dictionary<string, IReadOnlyList<TimelineHistory>?> timelines = policy?.RecoveryWindow is { } window
                ? await FindTimelinesAsync(facts, RetentionRules.WindowStart(window, now), cancellationToken).ConfigureAwait(false)
                : [];
            IReadOnlyList<RetentionDecision> decisions = policy is null
                ? [.. facts.Select(static fact => new RetentionDecision(fact, ["the site sets no retention"]))]
                : RetentionRules.Decide(policy, facts, subject => timelines.TryGetValue(subject, out IReadOnlyList<TimelineHistory>? known) ? known : [], now);
            Dictionary<string, BackupHeader?> backups = decisions.Where(static decision => !decision.IsKept).ToDictionary(
                static decision => decision.Backup.Id, decision => (BackupHeader?)inventory.Complete[decision.Backup.Id], StringComparer.Ordinal);
            await AddAsync(items, plans, inventory, decisions, backups, sweep: true, now, cancellationToken).ConfigureAwait(false);
            if (component == Component.Database)
            {
                foreach (WalRemoval removal in await FindWalAsync(
                    inventory, id => backups.ContainsKey(id), policy?.RecoveryWindow, now, cancellationToken).ConfigureAwait(false))
                {
                    wal.UnionWith(removal.Objects.Select(static info => info.Key));
                    items.Add(removal.Result);
                }
            }
        }

        return new RetentionPlan(policy, now, plans, items, wal);
    }

    /// <summary>Finds out what removing one backup would do. Changes nothing.</summary>
    /// <param name="component">Its component.</param>
    /// <param name="id">Its id.</param>
    /// <param name="force">Whether also the newest goes, one that is damaged, and one that seems to be running.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.BackupProtected"/>, <see cref="SmcErrorCode.OperationInProgress"/> or <see cref="SmcErrorCode.BackupNotFound"/>.
    /// </exception>
    public async Task<RetentionPlan> PlanRemovalAsync(Component component, string id, bool force, CancellationToken cancellationToken)
    {
        DateTimeOffset now = _options.Time.GetUtcNow();
        BackupInventory inventory = await BackupInventory.LoadAsync(_repository, component, cancellationToken).ConfigureAwait(false);
        IReadOnlyDictionary<string, ProtectionState> protections =
            await _protections.ListAsync(component, cancellationToken).ConfigureAwait(false);
        List<BackupFact> facts = [.. Facts(inventory, protections, now)];
        List<RetentionDecision> decisions = [];
        Dictionary<string, BackupHeader?> backups = new(StringComparer.Ordinal);
        HashSet<string> dead = new(StringComparer.Ordinal);
        if (facts.Find(fact => fact.Id == id) is { } backup)
        {
            EnsureRemovable(backup, facts, force, now);
            decisions.Add(new RetentionDecision(backup, []));
            backups[id] = inventory.Complete[id];
        }
        else if (inventory.Damaged.TryGetValue(id, out SmcException? damage))
        {
            EnsureUnprotected(id, protections.GetValueOrDefault(id, ProtectionState.None).Hold, protections.GetValueOrDefault(id)?.LockedUntil, now);
            if (Repository.IsForeign(damage))
            {
                throw new SmcException(
                    damage.Code,
                    $"What the backup '{id}' needs and what needs it cannot be found out, so it is not removed: {damage.Message}",
                    damage,
                    recommendation: "Remove it with the version of SmcDr that wrote it, or with a key that opens it.",
                    target: id);
            }

            if (!force)
            {
                throw new SmcException(
                    SmcErrorCode.BackupProtected,
                    $"The backup '{id}' is damaged: {damage.Message}",
                    damage,
                    recommendation: "Restore its marker from a copy where there is one; -Force removes the backup.",
                    target: id);
            }

            backups[id] = null;
        }
        else if (inventory.Open.TryGetValue(id, out BackupFolder? folder) && folder.HasClaim)
        {
            if (folder.IsAlive(now - _options.GraceTime) && !force)
            {
                throw new SmcException(
                    SmcErrorCode.OperationInProgress,
                    $"The backup '{id}' seems to be running: something of it was stored at {DisplayText.Time(folder.Newest)}.",
                    recommendation: "Let it end, or stop it; if nobody is at it any more, -Force removes what is there.",
                    target: id);
            }

            dead.Add(id);
        }
        else
        {
            throw new SmcException(SmcErrorCode.BackupNotFound, $"There is no backup '{id}' in {_repository.Location}.", target: id);
        }

        List<RetentionResult> items = [];
        List<RetentionPlan.ComponentPlan> plans = [];
        await AddAsync(items, plans, inventory, decisions, backups, sweep: false, now, cancellationToken, dead).ConfigureAwait(false);
        return new RetentionPlan(null, now, plans, items, new HashSet<string>());
    }

    /// <summary>Does what a plan says, as far as it still holds, and gives what was removed.</summary>
    public async Task<IReadOnlyList<RetentionResult>> ExecuteAsync(RetentionPlan plan, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        _deleted = 0;
        HashSet<(string Component, string Id)> skipped = [];
        try
        {
            foreach (RetentionPlan.ComponentPlan component in plan.Components)
            {
                await ExecuteAsync(component, plan.Time, skipped, cancellationToken).ConfigureAwait(false);
            }

            if (plan.WalKeys.Count > 0)
            {
                // Again, from what there is now: a backup that was kept after all keeps its WAL as well.
                BackupInventory inventory = await BackupInventory
                    .LoadAsync(_repository, Component.Database, cancellationToken).ConfigureAwait(false);
                List<WalRemoval> removals = await FindWalAsync(
                    inventory, static _ => false, plan.Policy?.RecoveryWindow, plan.Time, cancellationToken).ConfigureAwait(false);
                await DeleteAsync(
                    [.. removals.SelectMany(static removal => removal.Objects).Where(info => plan.WalKeys.Contains(info.Key))],
                    cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _observer.Progress(new OperationProgress(Activity, "", Unit: ProgressUnit.Items) { IsCompleted = true });
        }

        return
        [
            .. plan.Removals.Where(item => !skipped.Contains((item.Component, item.Id))).Select(static item => item with { Action = "Removed" }),
        ];
    }

    /// <summary>Of what it is a backup.</summary>
    internal static string SubjectOf(BackupHeader header) =>
        header.Database?.SystemId ?? header.Logical?.SystemId ?? header.FileStore?.Name ?? (header.Redis is null && header.Configuration is null ? null : header.Site) ?? "";

    /// <summary>
    /// Which backups of its subject can replace it. Of dumps, those for which the same was asked, and not those that hold the same: a new
    /// database begins no new series. Of configurations, those of the same namespaces, with or without their Secrets. Of file stores, those of the same site:
    /// several may call one the same.
    /// </summary>
    internal static string SeriesOf(BackupHeader header) => header.Logical is { } logical
        ? string.Join('\0', [header.Kind, .. logical.Selected.Order(StringComparer.Ordinal)])
        : header.Configuration is { } configuration
            ? string.Join('\0', [configuration.WithoutSecrets ? "without" : "with", .. configuration.Namespaces])
            : header.FileStore is not null ? header.Site ?? "" : "";

    private IEnumerable<BackupFact> Facts(
        BackupInventory inventory, IReadOnlyDictionary<string, ProtectionState> protections, DateTimeOffset now)
    {
        ILookup<string, string> neededBy = inventory.Open.Values
            .Where(folder => folder.Claim?.Parent is not null && folder.IsAlive(now - _options.GraceTime))
            .ToLookup(static folder => folder.Claim!.Parent!, static folder => folder.Id, StringComparer.Ordinal);
        foreach ((string id, BackupHeader header) in inventory.Complete)
        {
            ProtectionState protection = protections.GetValueOrDefault(id, ProtectionState.None);
            yield return new BackupFact
            {
                Component = inventory.Component,
                Id = id,
                Subject = SubjectOf(header),
                Series = SeriesOf(header),
                IsEmergency = header is { Logical: not null, Kind: BackupKinds.Emergency },
                StartTime = header.StartTime,
                StopTime = header.EndTime,
                Timeline = header.Database?.Timeline,
                StopLsn = header.Database?.StopLsn,
                IsPartial = header.IsPartial,
                Hold = protection.Hold,
                LockedUntil = protection.LockedUntil,
                NeededBy = neededBy[id].FirstOrDefault(),
            };
        }
    }

    private static void EnsureRemovable(BackupFact backup, List<BackupFact> facts, bool force, DateTimeOffset now)
    {
        EnsureUnprotected(backup.Id, backup.Hold, backup.LockedUntil, now);
        if (backup.NeededBy is { } running)
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"The running backup '{running}' builds on the backup '{backup.Id}'.",
                recommendation: "Let the running backup end, then run the command again.",
                target: backup.Id);
        }

        if (backup.IsEmergency)
        {
            // Nothing counts on it, and only somebody who removes it ever does.
            return;
        }

        BackupFact newest = facts.Where(fact => fact.Subject == backup.Subject && fact.Series == backup.Series)
            .OrderBy(static fact => fact.StartTime).ThenBy(static fact => fact.Id, StringComparer.Ordinal).Last();
        if (!force && newest == backup)
        {
            throw new SmcException(
                SmcErrorCode.BackupProtected,
                $"The backup '{backup.Id}' is the newest complete one of its kind.",
                recommendation: "Take a new backup first; -Force removes this one all the same.",
                target: backup.Id);
        }
    }

    private static void EnsureUnprotected(string id, string? hold, DateTimeOffset? lockedUntil, DateTimeOffset now)
    {
        string? reason = hold is not null ? $"is held: {hold}" : lockedUntil > now ? $"is locked until {DisplayText.Time(lockedUntil)}" : null;
        if (reason is not null)
        {
            throw new SmcException(SmcErrorCode.BackupProtected, $"The backup '{id}' {reason.TrimEnd('.')}.", target: id);
        }
    }

    /// <summary>Adds what a component's backups, incomplete backups and remnants come to.</summary>
    private async Task AddAsync(
        List<RetentionResult> items,
        List<RetentionPlan.ComponentPlan> plans,
        BackupInventory inventory,
        IReadOnlyList<RetentionDecision> decisions,
        Dictionary<string, BackupHeader?> backups,
        bool sweep,
        DateTimeOffset now,
        CancellationToken cancellationToken,
        HashSet<string>? dead = null)
    {
        DateTimeOffset deadBefore = now - _options.GraceTime;
        dead ??= [];
        HashSet<string> remnants = new(StringComparer.Ordinal);
        if (sweep)
        {
            dead.UnionWith(inventory.Open.Values.Where(folder => folder.HasClaim && !folder.IsAlive(deadBefore)).Select(static f => f.Id));
            remnants.UnionWith(inventory.Open.Values
                .Where(folder => !folder.HasClaim && !folder.HasMarker && folder.Newest < deadBefore && folder.Objects.Any())
                .Select(static folder => folder.Id));
        }

        PackNeeds needs = await PackNeeds.FindAsync(
            _repository,
            inventory,
            Headers(backups),
            id => backups.ContainsKey(id) || dead.Contains(id),
            deadBefore,
            cancellationToken).ConfigureAwait(false);
        if (needs.Unknown is { } unknown && (sweep || backups.Count > 0 || dead.Count > 0))
        {
            _observer.Warning(
                $"No packs of the component {inventory.Component} are removed now, because {unknown}. What is kept loses nothing by that. {needs.Advice}");
        }

        foreach (RetentionDecision decision in decisions.OrderBy(static decision => decision.Backup.Id, StringComparer.Ordinal))
        {
            RetentionResult item = Result(inventory.Component, decision.Backup.Id, "Backup", decision.IsKept ? Keep : Remove, decision.Reasons) with
            {
                Subject = decision.Backup.Subject,
                StartTime = decision.Backup.StartTime,
            };
            if (!decision.IsKept)
            {
                BackupFolder folder = await BackupFolder
                    .LoadAsync(_repository, inventory.Component, item.Id, cancellationToken).ConfigureAwait(false);
                item = Count(item with { Reasons = [sweep ? "no rule keeps it" : "asked for"] }, folder, needs);
            }

            items.Add(item);
        }

        foreach (BackupFolder folder in inventory.Open.Values.OrderBy(static folder => folder.Id, StringComparer.Ordinal))
        {
            string? kind = folder.HasClaim || folder.HasMarker ? "Incomplete" : "Remnant";
            bool goes = backups.ContainsKey(folder.Id) || dead.Contains(folder.Id) || remnants.Contains(folder.Id);
            if (!folder.Objects.Any() || (!goes && !sweep))
            {
                continue;
            }

            string reason = !goes && inventory.Damaged.TryGetValue(folder.Id, out SmcException? damage)
                ? $"{(Repository.IsForeign(damage) ? "not readable here" : "damaged")}: {damage.Message}"
                : !goes && kind == "Incomplete" ? "running"
                : !goes ? "younger than the grace time"
                : !sweep ? "asked for"
                : kind == "Incomplete" ? $"nothing stored since {DisplayText.Time(folder.Newest)}"
                : "left of a backup that was removed";
            RetentionResult item = Count(
                Result(inventory.Component, folder.Id, kind, goes ? Remove : Keep, [reason]) with { StartTime = folder.Claim?.StartTime },
                folder,
                needs);

            // Nothing but packs that others use: that is how it stays.
            items.Add(goes && item.ObjectCount == 0 ? item with { Action = Keep, Reasons = ["used by other backups"] }
                : goes ? item
                : item with { ObjectCount = 0, FreedBytes = 0, SharedBytes = 0 });
        }

        plans.Add(new RetentionPlan.ComponentPlan(inventory.Component, backups, dead, remnants));
    }

    private static Dictionary<string, BackupHeader> Headers(IReadOnlyDictionary<string, BackupHeader?> backups) => backups
        .Where(static entry => entry.Value is not null)
        .ToDictionary(static entry => entry.Key, static entry => entry.Value!, StringComparer.Ordinal);

    private static RetentionResult Count(RetentionResult item, BackupFolder folder, PackNeeds needs)
    {
        ILookup<bool, ObjectInfo> packs = folder.Packs.ToLookup(pack => needs.Contains(folder.Id, pack.Key), static pack => pack.Value);
        ObjectInfo[] gone = [.. folder.Documents.Values, .. packs[false]];
        return item with
        {
            ObjectCount = gone.Length,
            FreedBytes = gone.Sum(static info => info.Length),
            SharedBytes = packs[true].Sum(static info => info.Length),
        };
    }

    private RetentionResult Result(Component component, string id, string kind, string action, IReadOnlyList<string> reasons) => new()
    {
        Id = id,
        Component = component.ToString(),
        Kind = kind,
        Action = action,
        Reasons = reasons,
        Repository = _repository.Location,
    };

    private async Task ExecuteAsync(
        RetentionPlan.ComponentPlan plan,
        DateTimeOffset now,
        HashSet<(string Component, string Id)> skipped,
        CancellationToken cancellationToken)
    {
        if (plan.Backups.Count + plan.Dead.Count + plan.Remnants.Count == 0)
        {
            return;
        }

        ParallelOptions options = new() { MaxDegreeOfParallelism = _options.Parallelism, CancellationToken = cancellationToken };
        Component component = plan.Component;
        await Parallel.ForEachAsync(plan.Backups.Keys, options, async (id, token) =>
        {
            ProtectionState protection = await _protections.GetAsync(component, id, token).ConfigureAwait(false);
            if (protection.IsActive(_options.Time.GetUtcNow()))
            {
                _observer.Warning($"The backup '{id}' was protected meanwhile, and stays.");
                lock (skipped)
                {
                    skipped.Add((component.ToString(), id));
                }

                return;
            }

            // From here on it does not exist, whatever becomes of the rest.
            await DeleteAsync(RepositoryKeys.Complete(component, id), token).ConfigureAwait(false);
            await DeleteAsync(RepositoryKeys.Manifest(component, id), token).ConfigureAwait(false);
            await DeleteAsync(RepositoryKeys.Started(component, id), token).ConfigureAwait(false);
        }).ConfigureAwait(false);

        await Parallel.ForEachAsync(plan.Dead, options, async (id, token) =>
        {
            // Its writer, should it live, looks for its claim after it has written the marker; so one of the two sees the other.
            await DeleteAsync(RepositoryKeys.Started(component, id), token).ConfigureAwait(false);
            if (await Store.GetInfoAsync(RepositoryKeys.Complete(component, id), token).ConfigureAwait(false) is not null)
            {
                _observer.Warning($"The backup '{id}' was completed at this moment, and stays if its writer did not notice.");
                lock (skipped)
                {
                    skipped.Add((component.ToString(), id));
                }
            }
        }).ConfigureAwait(false);

        // Only now, after the markers are gone: a backup that claimed one of them before is seen here, one that claims later fails.
        BackupInventory inventory = await BackupInventory.LoadAsync(_repository, component, cancellationToken).ConfigureAwait(false);
        PackNeeds needs = await PackNeeds.FindAsync(
            _repository, inventory, Headers(plan.Backups), static _ => false, now - _options.GraceTime, cancellationToken).ConfigureAwait(false);
        if (needs.Unknown is { } unknown)
        {
            _observer.Warning($"Packs of the component {component} stay until a later run, because {unknown}. {needs.Advice}");
        }

        List<ObjectInfo> objects = [];
        foreach (BackupFolder folder in inventory.Open.Values.Where(folder => !folder.HasClaim && !folder.HasMarker))
        {
            if (plan.Backups.ContainsKey(folder.Id) || plan.Dead.Contains(folder.Id) || plan.Remnants.Contains(folder.Id))
            {
                objects.AddRange(folder.Documents.Values);
                objects.AddRange(folder.Packs.Where(pack => !needs.Contains(folder.Id, pack.Key)).Select(static pack => pack.Value));
            }
        }

        await DeleteAsync(objects, cancellationToken).ConfigureAwait(false);
        await ForgetProtectionsAsync(inventory, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes locks that are over, of backups that are gone.</summary>
    private async Task ForgetProtectionsAsync(BackupInventory inventory, CancellationToken cancellationToken)
    {
        DateTimeOffset now = _options.Time.GetUtcNow();
        IReadOnlyDictionary<string, ProtectionState> protections =
            await _protections.ListAsync(inventory.Component, cancellationToken).ConfigureAwait(false);
        foreach ((string id, ProtectionState state) in protections)
        {
            bool isThere = inventory.Complete.ContainsKey(id) || (inventory.Open.TryGetValue(id, out BackupFolder? folder) &&
                (folder.HasClaim || folder.HasMarker));
            if (!isThere && !state.IsActive(now))
            {
                foreach (string key in state.Keys)
                {
                    await DeleteAsync(key, cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }

    private Task DeleteAsync(IReadOnlyCollection<ObjectInfo> objects, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        objects,
        new ParallelOptions { MaxDegreeOfParallelism = _options.Parallelism, CancellationToken = cancellationToken },
        (info, token) => new ValueTask(DeleteAsync(info.Key, token)));

    private async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        await Store.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        _observer.Progress(new OperationProgress(
            Activity, string.Create(CultureInfo.InvariantCulture, $"Removed {key}"), Interlocked.Increment(ref _deleted), null, ProgressUnit.Items));
    }
}
