using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Dns;

/// <summary>The records of one hosted zone: shown, changed, and followed until clients can see the change.</summary>
public sealed class DnsRecords : IDisposable
{
    private const string Activity = "Change of DNS records";

    private readonly string _zoneId;
    private readonly IReadOnlyList<DnsTarget> _targets;
    private readonly IReadOnlyList<string> _nameServers;
    private readonly IOperationObserver _observer;
    private readonly Route53Client _route53;
    private readonly DnsServerClient _serverClient;

    /// <summary>Nothing is asked yet.</summary>
    /// <param name="zoneId">The hosted zone's id.</param>
    /// <param name="targets">Where the regions are to be found.</param>
    /// <param name="nameServers">Servers as host and port that are asked in place of the zone's own; usually none.</param>
    /// <param name="options">How Route 53 is reached.</param>
    /// <param name="observer">Hears of what is tried again, and of what could not be undone.</param>
    public DnsRecords(
        string zoneId, IReadOnlyList<DnsTarget> targets, IReadOnlyList<string> nameServers, Route53Options options, IOperationObserver observer)
        : this(zoneId, targets, nameServers, options, observer, new DnsServerClient())
    {
    }

    internal DnsRecords(
        string zoneId,
        IReadOnlyList<DnsTarget> targets,
        IReadOnlyList<string> nameServers,
        Route53Options options,
        IOperationObserver observer,
        DnsServerClient serverClient)
    {
        _zoneId = zoneId;
        _targets = targets;
        _nameServers = nameServers;
        _observer = observer;
        _route53 = new Route53Client(options, observer);
        _serverClient = serverClient;
    }

    /// <inheritdoc/>
    public void Dispose() => _route53.Dispose();

    /// <summary>The record sets of a name, and what the zone's servers answer.</summary>
    /// <param name="name">The name.</param>
    /// <param name="type">Only those of this type; null = all.</param>
    /// <param name="askServers">Whether the zone's own servers are asked.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<IReadOnlyList<DnsRecordInfo>> ReadAsync(DnsName name, string? type, bool askServers, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        DnsZone zone = await _route53.GetZoneAsync(_zoneId, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<DnsRecordSet> sets = await _route53.ListRecordSetsAsync(_zoneId, name, cancellationToken).ConfigureAwait(false);
        DnsRecordSet[] wanted = [.. sets.Where(set => type is null || set.Type == type)];
        IReadOnlyList<DnsServerAnswer> answers = askServers
            ? await AskAsync(zone, wanted, name, [.. wanted.Select(static set => set.Type).Distinct()], TimeSpan.Zero, cancellationToken).ConfigureAwait(false)
            : [];
        List<DnsRecordInfo> infos = [];
        foreach (DnsRecordSet set in wanted)
        {
            DnsServerAnswer[] own = [.. answers.Where(answer => answer.Type == set.Type)];
            infos.Add(new DnsRecordInfo
            {
                Name = set.Name.Display,
                Type = set.Type,
                Routing = set.Routing,
                SetIdentifier = set.SetIdentifier,
                Weight = set.Weight,
                Failover = set.Failover,
                TtlSeconds = set.Ttl,
                Values = [.. set.Values.Select(value => DnsValues.Display(set.Type, value))],
                AliasTarget = set.Alias?.Name.Display,
                HealthCheckId = set.HealthCheckId,
                Region = await FindRegionAsync([set], cancellationToken).ConfigureAwait(false),
                ZoneId = zone.Id,
                Zone = zone.Name.Display,
                IsPrivateZone = zone.IsPrivate,
                State = DnsStates.Of(own),
                Servers = own,
            });
        }

        return infos;
    }

    /// <summary>What must change so that a record becomes what is wanted. Nothing is changed.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.DnsRecordUnsuitable"/>: it cannot become that; <see cref="SmcErrorCode.ArgumentInvalid"/>.
    /// </exception>
    public async Task<DnsChangePlan> PlanAsync(DnsRecordRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        DnsZone zone = await _route53.GetZoneAsync(_zoneId, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<DnsRecordSet> present = await _route53.ListRecordSetsAsync(_zoneId, request.Name, cancellationToken).ConfigureAwait(false);
        return await new DnsChangePlanner(zone, present, request).PlanAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What must change so that an earlier change is taken back. Nothing is changed.</summary>
    /// <param name="undo">The earlier change.</param>
    /// <param name="force">Whether also what somebody has changed since is put back.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.DnsRecordUnsuitable"/>: something was changed since; <see cref="SmcErrorCode.ArgumentInvalid"/>: it was another zone's.
    /// </exception>
    public async Task<DnsChangePlan> PlanUndoAsync(DnsUndo undo, bool force, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(undo);
        DnsName name = undo.Changes[0].Set.Name;
        if (undo.ZoneId != _zoneId || undo.Changes.Any(change => change.Set.Name != name))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The change of {name.Display} was made in zone {undo.ZoneId}, and the site's zone is {_zoneId}.",
                recommendation: "Give the site that the change was made with.",
                target: undo.ZoneId);
        }

        DnsZone zone = await _route53.GetZoneAsync(_zoneId, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<DnsRecordSet> present = await _route53.ListRecordSetsAsync(_zoneId, name, cancellationToken).ConfigureAwait(false);
        List<DnsRecordChange> changes = [];
        foreach (DnsRecordChange change in undo.Changes)
        {
            DnsRecordSet? now = present.FirstOrDefault(change.Set.IsSameSet);
            bool isUndone = IsAsWanted(change.Before, now);
            if (!isUndone && !force && !IsAsWanted(change.After, now))
            {
                throw new SmcException(
                    SmcErrorCode.DnsRecordUnsuitable,
                    $"{name.Display} {change.Set.Type} was changed by somebody else since: it is {now?.Display ?? "gone"}, and the change had left {change.After?.Display ?? "nothing"}.",
                    recommendation: $"Add -Force (or --force) to put {change.Before?.Display ?? "nothing"} in its place, or leave it as it is.",
                    target: name.Display);
            }

            if (!isUndone)
            {
                changes.Add(new DnsRecordChange(now, change.Before));
            }
        }

        return new DnsChangePlan
        {
            Zone = zone,
            Name = name,
            Types = [.. undo.Changes.Select(static change => change.Set.Type).Distinct()],
            Changes = changes,
            Present = present,
        };
    }

    /// <summary>Carries a plan out, and follows it: to Route 53's servers, to the zone's own answers, to the application.</summary>
    /// <remarks>
    /// Whatever goes wrong behind the change itself is in the result and no exception, since the result has what takes the change back.
    /// </remarks>
    /// <exception cref="SmcException">Nothing was changed, or the message says that this is not known.</exception>
    public async Task<DnsChangeResult> ApplyAsync(DnsChangePlan plan, DnsApplyOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(options);
        long start = TimeProvider.System.GetTimestamp();
        Progress("Sending the change to Route 53");
        try
        {
            IReadOnlyList<DnsRecordSet> wanted = plan.Wanted();
            bool isChanged = plan.Changes.Count > 0;
            int? oldAnswer = isChanged ? await FindOldTtlAsync(plan, cancellationToken).ConfigureAwait(false) : null;
            Route53Change? change = isChanged ? await SubmitAsync(plan, cancellationToken).ConfigureAwait(false) : null;
            DateTimeOffset? submitted = isChanged ? DateTimeOffset.UtcNow : null;
            DnsChangeResult result = new()
            {
                Name = plan.Name.Display,
                Type = string.Join(", ", plan.Types),
                State = isChanged ? DnsStates.Pending : DnsStates.Unchanged,
                IsChanged = isChanged,
                Before = Describe(plan.Types, plan.Present),
                After = Describe(plan.Types, wanted),
                ZoneId = plan.Zone.Id,
                ChangeId = change?.Id,
                SubmittedTime = submitted,
                OldAnswerSeconds = oldAnswer,
                Undo = isChanged ? plan.ToUndo(submitted!.Value).ToJson() : null,
            };
            try
            {
                result = await FollowAsync(plan, wanted, change, result, options, start, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (isChanged)
            {
                _observer.Warning($"The change is made and stands; it was only not followed to its end. What takes it back: {result.Undo}");
                throw;
            }

            return result with { Duration = TimeProvider.System.GetElapsedTime(start) };
        }
        finally
        {
            _observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    /// <summary>Zones of a name, to tell a private one from a public one.</summary>
    internal Task<IReadOnlyList<DnsZone>> ListZonesAsync(DnsName name, CancellationToken cancellationToken) =>
        _route53.ListZonesAsync(name, cancellationToken);

    /// <summary>The zone itself.</summary>
    internal Task<DnsZone> GetZoneAsync(CancellationToken cancellationToken) => _route53.GetZoneAsync(_zoneId, cancellationToken);

    private async Task<DnsChangeResult> FollowAsync(
        DnsChangePlan plan,
        IReadOnlyList<DnsRecordSet> wanted,
        Route53Change? change,
        DnsChangeResult result,
        DnsApplyOptions options,
        long start,
        CancellationToken cancellationToken)
    {
        DnsRecordSet[] meant = [.. wanted.Where(set => plan.Types.Contains(set.Type))];
        result = result with { Region = await FindRegionAsync(meant, cancellationToken).ConfigureAwait(false) };
        if (!options.Wait)
        {
            return result;
        }

        List<string> problems = [];
        if (change is not null)
        {
            Progress("Waiting until all servers of Route 53 have the change");
            if (await WaitInSyncAsync(change, problems, options, start, cancellationToken).ConfigureAwait(false))
            {
                result = result with { State = DnsStates.InSync, InSyncTime = DateTimeOffset.UtcNow };
            }
        }

        if (options.AskServers)
        {
            Progress("Asking the zone's own servers");
            IReadOnlyList<DnsServerAnswer> answers = await AskAsync(
                plan.Zone, wanted, plan.Name, plan.Types, Left(), cancellationToken).ConfigureAwait(false);
            problems.AddRange(answers.Select(static answer => answer.Problem).OfType<string>());
            // Until Route 53 says that all have it, servers that give the old answer are as expected.
            string? state = DnsStates.Of(answers);
            result = result with
            {
                Servers = answers,
                State = state is null || (state != DnsStates.Served && result.State == DnsStates.Pending) ? result.State : state,
                ServedTime = state == DnsStates.Served ? DateTimeOffset.UtcNow : null,
            };
        }

        if (result.OldAnswerSeconds is int seconds)
        {
            result = result with { OldAnswerUntil = (result.ServedTime ?? result.InSyncTime)?.AddSeconds(seconds) };
        }

        if (options.ProbeUrl is { } url)
        {
            Progress("Asking the application");
            string[] targets = [.. meant.Where(static set => set.Weight is not 0).SelectMany(static set => set.Alias is { } alias ? [alias.Name.Display] : set.Values.Select(value => DnsValues.Display(set.Type, value)))];
            (int? status, string? problem) = await DnsProbe
                .RunAsync(url, options.ProbeStatus, targets, options.ProbeTimeout, cancellationToken).ConfigureAwait(false);
            result = result with { ProbeUrl = url.ToString(), ProbeStatus = status };
            if (problem is not null)
            {
                problems.Add(problem);
                result = result with { State = result.State is DnsStates.Pending or DnsStates.NotServed ? result.State : DnsStates.Partial };
            }
        }

        return result with { Problems = problems };

        TimeSpan Left() => options.Timeout - TimeProvider.System.GetElapsedTime(start);
    }

    private async Task<bool> WaitInSyncAsync(
        Route53Change change, List<string> problems, DnsApplyOptions options, long start, CancellationToken cancellationToken)
    {
        TimeSpan pause = options.PollDelay;
        while (!change.IsInSync)
        {
            if (TimeProvider.System.GetElapsedTime(start) + pause > options.Timeout)
            {
                problems.Add($"Route 53 has not said within {DisplayText.Duration(options.Timeout)} that all of its servers have the change {change.Id}.");
                return false;
            }

            await Task.Delay(pause, cancellationToken).ConfigureAwait(false);
            pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 3 / 2, options.MaximumPollDelay.Ticks));
            try
            {
                change = await _route53.GetChangeAsync(_zoneId, change.Id, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                // The change is made all the same, and the zone's servers can tell it as well.
                problems.Add($"{e.Message} {e.Recommendation}");
                return false;
            }
        }

        return true;
    }

    /// <summary>Sends a change; null where it was made and its id is not known.</summary>
    private async Task<Route53Change?> SubmitAsync(DnsChangePlan plan, CancellationToken cancellationToken)
    {
        try
        {
            return await _route53.ChangeAsync(_zoneId, plan.Changes, "Changed by SmcDr", cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.DnsUnavailable or SmcErrorCode.DnsRecordUnsuitable)
        {
            // An answer may have been lost: then the change is made, and a removal that is sent again is refused. Lists show changes at once.
            IReadOnlyList<DnsRecordSet> now;
            try
            {
                now = await _route53.ListRecordSetsAsync(_zoneId, plan.Name, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException) when (e.Code == SmcErrorCode.DnsUnavailable)
            {
                throw new SmcException(
                    e.Code,
                    $"{e.Message} Whether the change was made is not known.",
                    e,
                    "Run Get-SmcDnsRecord as soon as Route 53 answers; the same change again does no harm.",
                    e.Target);
            }

            if (!plan.Changes.All(change => IsAsWanted(change.After, now.FirstOrDefault(change.Set.IsSameSet))))
            {
                throw;
            }

            _observer.Verbose($"{e.Message} The change is made all the same.");
            return null;
        }
    }

    private Task<IReadOnlyList<DnsServerAnswer>> AskAsync(
        DnsZone zone, IEnumerable<DnsRecordSet> sets, DnsName name, IReadOnlyList<string> types, TimeSpan patience, CancellationToken cancellationToken)
    {
        DnsServers servers = new(zone, _nameServers, _serverClient);
        if (servers.Count == 0)
        {
            _observer.Verbose($"The servers of the {zone.Display} answer in its VPCs only, and are not asked.");
        }

        return servers.WaitAsync([.. types.Select(type => DnsExpectation.Of(name, type, sets))], patience, _observer, cancellationToken);
    }

    /// <summary>The region that all record sets lead to that are answered with; null where it is none, or not one alone.</summary>
    private async Task<string?> FindRegionAsync(IReadOnlyList<DnsRecordSet> sets, CancellationToken cancellationToken)
    {
        IReadOnlyList<DnsRecordSet> answered = sets.Any(static set => set.Weight is not 0) ? [.. sets.Where(static set => set.Weight is not 0)] : sets;
        foreach (DnsTarget target in _targets)
        {
            bool[] leads = await Task.WhenAll(answered.Select(set => target.IsTargetOfAsync(set, cancellationToken))).ConfigureAwait(false);
            if (leads.Length > 0 && leads.All(static leadsThere => leadsThere))
            {
                return target.Region;
            }
        }

        return null;
    }

    /// <summary>For how long resolvers keep what they have of the record sets that change: also that there is none.</summary>
    private async Task<int?> FindOldTtlAsync(DnsChangePlan plan, CancellationToken cancellationToken)
    {
        int? longest = plan.Changes.Max(static change => change.Before is { } before ? before.Ttl ?? DnsRecordSet.AliasTtl : default(int?));
        if (plan.Changes.All(static change => change.Before is not null))
        {
            return longest;
        }

        IReadOnlyList<DnsRecordSet> apex = await _route53.ListRecordSetsAsync(_zoneId, plan.Zone.Name, cancellationToken).ConfigureAwait(false);
        // The last field is how long "there is none" is kept, but no longer than the record itself: RFC 2308, 5.
        DnsRecordSet? soa = apex.FirstOrDefault(static set => set.Type == "SOA");
        return int.TryParse(soa?.Values[0].Split(' ')[^1], NumberStyles.None, CultureInfo.InvariantCulture, out int minimum)
            ? Math.Max(longest ?? 0, Math.Min(minimum, soa!.Ttl ?? minimum))
            : longest;
    }

    private static bool IsAsWanted(DnsRecordSet? wanted, DnsRecordSet? now) => wanted is null ? now is null : wanted.IsEquivalent(now);

    private static string Describe(IReadOnlyList<string> types, IEnumerable<DnsRecordSet> sets) =>
        string.Join("; ", sets.Where(set => types.Contains(set.Type)).OrderBy(static set => set.SetIdentifier, StringComparer.Ordinal).Select(static set => set.Display)) is { Length: > 0 } text
            ? text
            : "none";

    private void Progress(string status) => _observer.Progress(new OperationProgress(Activity, status));
}
