using System.Text.Json;
using SmcDr.Core.Leases;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Leads a site to another region: once, and without two primaries.</summary>
/// <remarks>
/// Unplanned, the fence comes first: what the repository has behind it is all that can be replayed, and nothing that anybody was told is kept comes in later.
/// Planned, it comes last before the promotion: until then everything can be taken back, and the old primary's last records go to the repository as well.
/// </remarks>
public static class RegionFailover
{
    /// <summary>The command that begins it.</summary>
    public const string Operation = "Start-SmcRegionFailover";

    /// <summary>The kind of plan that it is.</summary>
    internal static SitePlanKind Kind { get; } = new(
        Operation, static (context, intent) => Build(new FailoverWork(context, intent.Deserialize(RegionFailoverJson.Default.RegionFailoverIntent)!)));

    /// <summary>A failover as it is asked for.</summary>
    /// <param name="region">The region that is to lead; null = the only one that is a standby in the site file.</param>
    /// <param name="planned">Whether nothing may be lost: the old primary is shut down first, and becomes a standby where it is on this host.</param>
    /// <param name="force">Whether it is done although the primary gives signs of life, and without what cannot be brought.</param>
    /// <param name="program">The words that start <c>smcdr</c>, for the <c>restore_command</c> of the old primary as a standby.</param>
    /// <param name="isPreview">
    /// Whether it is only looked at, as at a rehearsal: then a primary that is alive, as it should be, is told of and hides no step.
    /// </param>
    public static SitePlanRequest CreateRequest(string? region, bool planned, bool force, IReadOnlyList<string> program, bool isPreview = false)
    {
        // Before anything is looked at: how long a primary that does not answer is asked is a part of the time that the site is without one.
        DateTimeOffset asked = DateTimeOffset.UtcNow;
        return new SitePlanRequest
        {
            Kind = Kind,
            DecideAsync = (context, token) => DecideAsync(context, region, planned, force, program, isPreview, asked, token),
            IsSame = intent => intent.Deserialize(RegionFailoverJson.Default.RegionFailoverIntent) is { } decided &&
                decided.Planned == planned && (decided.Force || !force) && (region is null || decided.To == region),
        };
    }

    /// <summary>What is decided where the site was led to the region before: the command that is run twice does nothing the second time, and says so.</summary>
    internal static RegionFailoverIntent DecideDone(RegionSettings region, FencingEpoch? epoch) => new()
    {
        From = region.Name,
        To = region.Name,
        IsDone = true,
        Epoch = epoch?.Number ?? 0,
        SystemId = "",
        Timeline = 0,
    };

    private static async Task<JsonElement> DecideAsync(
        SitePlanContext context,
        string? region,
        bool planned,
        bool force,
        IReadOnlyList<string> program,
        bool isPreview,
        DateTimeOffset asked,
        CancellationToken cancellationToken)
    {
        if (planned && force)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A planned failover loses nothing, and a forced one may.",
                recommendation: "Give -Planned or -Force (--planned or --force), not both.");
        }

        Site site = context.Site;
        FencingEpochs epochs = new(await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false), site.Name);
        FencingEpoch? epoch = await epochs.ReadAsync(cancellationToken).ConfigureAwait(false);
        (RegionSettings from, RegionSettings to) = await ChooseAsync(context, region, epochs, epoch, cancellationToken).ConfigureAwait(false);
        if (from.Name == to.Name)
        {
            return Plan.ToIntent(DecideDone(to, epoch), RegionFailoverJson.Default.RegionFailoverIntent);
        }

        RegionFailoverIntent intent = CreateIntent(site, from, to, epoch, program) with { Planned = planned, Force = force, AskedTime = asked };
        FailoverWork work = new(context, intent);
        DatabaseSighting standby = await work.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        (IReadOnlyList<string> signs, DatabaseSighting primary) =
            await PrimarySigns.FindAsync(work, standby, context.Observer, cancellationToken).ConfigureAwait(false);
        string[] obstacles = [.. RegionInspection.FindObstacles(to, standby, primary), .. planned ? FindPlannedObstacles(work, standby, primary) : []];
        if (planned && intent.HasRedis)
        {
            RedisSighting redis = await RedisSighting.LookAsync(
                site.CreateRedisConnector(context.Secrets, to.Name), RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
            if (redis.Info is not { IsMaster: false, IsLinkUp: true })
            {
                obstacles = [.. obstacles, redis.Problem ?? $"Redis at {redis.Server} does not follow that of '{from.Name}'."];
            }
        }

        if (obstacles.Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"The region '{to.Name}' cannot take over{(planned ? " without a loss" : "")}: {string.Join(" ", obstacles)}",
                target: to.Name);
        }

        if (!planned && !force && signs.Count > 0)
        {
            SmcException alive = new(
                SmcErrorCode.PrimaryAlive, $"The primary of the region '{from.Name}' gives signs of life: {string.Join(" ", signs)}", target: from.Name);
            if (!isPreview)
            {
                throw alive;
            }

            context.Observer.Warning($"This would be refused now. {alive.Message} {alive.Recommendation}");
        }

        return Plan.ToIntent(
            intent with
            {
                SystemId = FormattableString.Invariant($"{standby.SystemId}"),
                Timeline = standby.Timeline,
                Follows = planned && work.OldDirectory is not null,
            },
            RegionFailoverJson.Default.RegionFailoverIntent);
    }

    /// <summary>What there is to lead over from a region to another, by the site file.</summary>
    internal static RegionFailoverIntent CreateIntent(
        Site site, RegionSettings from, RegionSettings to, FencingEpoch? epoch, IReadOnlyList<string> program)
    {
        _ = site.GetDatabase(from.Name);
        _ = site.GetDatabase(to.Name);
        return new RegionFailoverIntent
        {
            From = from.Name,
            To = to.Name,
            Epoch = epoch?.Number ?? 0,
            SystemId = "",
            Timeline = 0,
            StopsWriters = site.Writers.Count > 0 && from.Kubernetes is not null,
            StartsWriters = site.Writers.Count > 0 && to.Kubernetes is not null,
            HasRedis = from.Redis is not null && to.Redis is not null,
            HasDns = site.Dns is not null && to.Endpoint is not null,
            Program = program,
        };
    }

    /// <summary>
    /// From where to where; both the same where the site was led there before. A region that leads and whose database is a standby was fenced for by a failover
    /// that was given up before its promotion: that is begun anew.
    /// </summary>
    private static async Task<(RegionSettings From, RegionSettings To)> ChooseAsync(
        SitePlanContext context, string? region, FencingEpochs epochs, FencingEpoch? epoch, CancellationToken cancellationToken)
    {
        Site site = context.Site;
        RegionSettings leader = site.GetLeader(epoch);
        RegionSettings to = site.GetRefuge(region);
        if (to.Name != leader.Name)
        {
            return (leader, to);
        }

        if (epoch is not null && leader.Database is { } database &&
            await DatabaseSighting.LookAsync(database.CreateConnector(leader, context.Secrets), RegionInspection.Patience, cancellationToken)
                .ConfigureAwait(false) is
                { IsReachable: true, IsStandby: true })
        {
            FencingEpoch? previous = epoch.Number > 1 ? await epochs.ReadAsync(epoch.Number - 1, cancellationToken).ConfigureAwait(false) : null;
            RegionSettings left = site.GetLeader(previous);
            if (left.Name != leader.Name)
            {
                return (left, leader);
            }
        }

        return (leader, leader);
    }

    /// <summary>Why nothing being lost cannot be promised, each a sentence.</summary>
    private static IEnumerable<string> FindPlannedObstacles(FailoverWork work, DatabaseSighting standby, DatabaseSighting primary)
    {
        if (primary is not { IsReachable: true, IsStandby: false })
        {
            yield return primary.Problem ?? $"PostgreSQL at {primary.Server} is a standby.";
        }

        if (standby is { IsReachable: true, IsStandby: true, IsStreaming: false })
        {
            yield return $"The standby at {standby.Server} has no connection to its primary.";
        }

        if (work is { OldDirectory: null, From.Database.Workload: null })
        {
            yield return $"The primary at {work.OldDatabase.Display} is neither on this host nor in a workload, so it cannot be shut down from here.";
        }
    }

    private static Plan Build(FailoverWork work)
    {
        RegionFailoverIntent intent = work.Intent;
        return intent.IsDone
            ? new Plan(
                work.Site.Name,
                Operation,
                $"The site '{work.Site.Name}' is led by '{intent.To}' already",
                Plan.ToIntent(intent, RegionFailoverJson.Default.RegionFailoverIntent),
                [new LeadsStep(work)])
            : new Plan(
                work.Site.Name,
                Operation,
                $"Lead the site '{work.Site.Name}' from '{intent.From}' to '{intent.To}'{(intent.Planned ? " without a loss" : "")}",
                Plan.ToIntent(intent, RegionFailoverJson.Default.RegionFailoverIntent),
                BuildSteps(work));
    }

    /// <summary>The steps, the first of them behind others.</summary>
    internal static List<PlanStep> BuildSteps(FailoverWork work, params string[] after)
    {
        RegionFailoverIntent intent = work.Intent;
        List<PlanStep> steps = [new AssessStep(work, after)];
        string[] Present(params string[] keys) => [.. keys.Where(key => steps.Exists(step => step.Key == key))];
        if (!intent.Planned)
        {
            steps.Add(new FenceStep(work, AssessStep.StepKey));
        }

        if (intent.StopsWriters)
        {
            steps.Add(new SuspendWritersStep(work, Present(AssessStep.StepKey, FenceStep.StepKey)));
        }

        steps.Add(new KeepWalStep(work, Present(AssessStep.StepKey, FenceStep.StepKey)));
        // A session that is at work would be cut off in the middle of what it does.
        steps.Add(new StopPrimaryStep(work, Present(AssessStep.StepKey, FenceStep.StepKey, KeepWalStep.StepKey, SuspendWritersStep.StepKey)));
        steps.Add(new DrainStep(work, Present(FenceStep.StepKey, StopPrimaryStep.StepKey)));
        if (intent.Planned)
        {
            steps.Add(new FenceStep(work, DrainStep.StepKey));
        }

        steps.Add(new PromoteStep(work, Present(FenceStep.StepKey, DrainStep.StepKey)));
        steps.Add(new PreparePrimaryStep(work, PromoteStep.StepKey));
        if (intent.HasRedis)
        {
            steps.Add(new PromoteRedisStep(work, Present(FenceStep.StepKey, StopPrimaryStep.StepKey)));
            if (intent.Planned)
            {
                steps.Add(new FollowRedisStep(work, PromoteRedisStep.StepKey));
            }
        }

        if (intent.StartsWriters)
        {
            steps.Add(new ResumeWritersStep(work, Present(PromoteStep.StepKey, PromoteRedisStep.StepKey)));
        }

        steps.Add(new VerifyStep(work, Present(PromoteStep.StepKey)));
        if (intent.HasDns)
        {
            steps.Add(new SwitchDnsStep(work, Present(VerifyStep.StepKey, ResumeWritersStep.StepKey)));
        }

        if (intent.Follows)
        {
            steps.Add(new FollowStep(work, Present(PreparePrimaryStep.StepKey)));
        }

        steps.Add(new ReportStep(work, Present(
            PreparePrimaryStep.StepKey, PromoteRedisStep.StepKey, ResumeWritersStep.StepKey, VerifyStep.StepKey, SwitchDnsStep.StepKey, FollowStep.StepKey,
            FollowRedisStep.StepKey)));
        return steps;
    }
}
