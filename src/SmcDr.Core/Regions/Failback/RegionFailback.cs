using System.Text.Json;
using SmcDr.Core.Leases;
using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Leads a site back to the region that led before: makes its former primary a standby, and switches over without a loss.</summary>
public static class RegionFailback
{
    /// <summary>The command that begins it.</summary>
    public const string Operation = "Start-SmcRegionFailback";

    /// <summary>The kind of plan that it is.</summary>
    internal static SitePlanKind Kind { get; } = new(
        Operation, static (context, intent) => Build(new FailbackWork(context, intent.Deserialize(RegionFailbackJson.Default.RegionFailbackIntent)!)));

    /// <summary>A failback as it is asked for.</summary>
    /// <param name="region">The region that is to lead again; null = the one that the site file calls primary.</param>
    /// <param name="force">Whether it goes on where what the former primary committed and nobody else has cannot be listed, or its rows not be exported.</param>
    /// <param name="noRewind">Whether pg_rewind is not tried.</param>
    /// <param name="program">The words that start <c>smcdr</c>, for the <c>restore_command</c> of what becomes a standby.</param>
    public static SitePlanRequest CreateRequest(string? region, bool force, bool noRewind, IReadOnlyList<string> program) => new()
    {
        Kind = Kind,
        DecideAsync = (context, token) => DecideAsync(context, region, force, noRewind, program, token),
        IsSame = intent => intent.Deserialize(RegionFailbackJson.Default.RegionFailbackIntent) is { } decided &&
            (decided.Force || !force) && (decided.NoRewind || !noRewind) && (region is null || decided.Switch.To == region),
    };

    private static async Task<JsonElement> DecideAsync(
        SitePlanContext context, string? region, bool force, bool noRewind, IReadOnlyList<string> program, CancellationToken cancellationToken)
    {
        Site site = context.Site;
        RegionSettings former = region is null ? site.HomeRegion : site.GetRegion(region);
        FencingEpochs epochs = new(await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false), site.Name);
        FencingEpoch? epoch = await epochs.ReadAsync(cancellationToken).ConfigureAwait(false);
        RegionSettings leader = site.GetLeader(epoch);
        if (leader.Name == former.Name)
        {
            return ToIntent(new RegionFailbackIntent { Switch = RegionFailover.DecideDone(former, epoch) });
        }

        RegionFailbackIntent intent = new()
        {
            Switch = RegionFailover.CreateIntent(site, leader, former, epoch, program) with
            {
                Planned = true,
                // By the site file, not by what is on this host: the plan may go on on that of the other one.
                Follows = leader.Database is { DataDirectory: not null, Workload: null },
            },
            Force = force,
            NoRewind = noRewind,
        };
        FailoverWork work = new(context, intent.Switch);
        DatabaseSighting primary = await work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        if (primary is not { IsReachable: true, IsStandby: false })
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"The region '{leader.Name}' leads, and its database cannot be followed: " +
                    (primary.Problem ?? $"PostgreSQL at {primary.Server} is a standby."),
                recommendation: $"If it is lost, '{former.Name}' takes over by a failover: Start-SmcRegionFailover -Region {former.Name} " +
                    $"(or 'smcdr region failover --region {former.Name}').",
                target: leader.Name);
        }

        if (intent.Switch.HasRedis && RedisFollowing.FindAddressProblem(leader) is { } address)
        {
            throw new SmcException(SmcErrorCode.SiteInvalid, address, target: leader.Name);
        }

        intent = intent with
        {
            Switch = intent.Switch with { SystemId = FormattableString.Invariant($"{primary.SystemId}"), Timeline = primary.Timeline },
        };
        await CheckFormerAsync(new FailbackWork(context, intent), cancellationToken).ConfigureAwait(false);
        return ToIntent(intent);
    }

    /// <summary>Sees that the former primary follows, or is on this host and of the same cluster.</summary>
    private static async Task CheckFormerAsync(FailbackWork work, CancellationToken cancellationToken)
    {
        if (await work.LookAsync(cancellationToken).ConfigureAwait(false) is (_, Follows: true))
        {
            return;
        }

        string directory = work.Directory;
        ControlFile control;
        try
        {
            control = await ControlFile.ReadAsync(directory, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.TargetUnsuitable)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"The former primary in '{directory}' has no control file: a restore into it was begun, and is to be finished first.",
                e,
                $"Finish it by Initialize-SmcRegionReplica {work.Former.Name} -Delta (or 'smcdr region init --delta'), and run the command again.",
                work.Former.Name);
        }

        if (FormattableString.Invariant($"{control.SystemId}") != work.Intent.Switch.SystemId)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"'{directory}' holds the database cluster {control.SystemId}, and '{work.Leader.Name}' leads with {work.Intent.Switch.SystemId}.",
                recommendation: "Correct dataDirectory in the site file.",
                target: work.Former.Name);
        }
    }

    private static Plan Build(FailbackWork work)
    {
        RegionFailbackIntent intent = work.Intent;
        RegionFailoverIntent lead = intent.Switch;
        if (lead.IsDone)
        {
            return new Plan(
                work.Site.Name, Operation, $"The site '{work.Site.Name}' is led by '{lead.To}' already", ToIntent(intent), [new LeadsStep(work.Switch)]);
        }

        List<PlanStep> steps =
        [
            new AssessFailbackStep(work),
            new StopFormerStep(work, AssessFailbackStep.StepKey),
            new KeepLostStep(work, StopFormerStep.StepKey),
            new RejoinStep(work, KeepLostStep.StepKey),
            new CatchUpStep(work, RejoinStep.StepKey),
        ];
        if (lead.HasRedis)
        {
            steps.Add(new RejoinRedisStep(work, KeepLostStep.StepKey));
        }

        steps.Add(new HandOverStep(work, lead.HasRedis ? [CatchUpStep.StepKey, RejoinRedisStep.StepKey] : [CatchUpStep.StepKey]));
        steps.AddRange(RegionFailover.BuildSteps(work.Switch, HandOverStep.StepKey));
        return new Plan(
            work.Site.Name, Operation, $"Lead the site '{work.Site.Name}' back from '{lead.From}' to '{lead.To}'", ToIntent(intent), steps);
    }

    private static JsonElement ToIntent(RegionFailbackIntent intent) => Plan.ToIntent(intent, RegionFailbackJson.Default.RegionFailbackIntent);
}
