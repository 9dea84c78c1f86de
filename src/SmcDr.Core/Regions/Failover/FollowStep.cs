using SmcDr.Core.Plans;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Makes the old primary, which was shut down cleanly, a standby of the new one.</summary>
/// <remarks>Its last record is one that the new primary has replayed, so it goes on where it stopped: nothing is to be rewound.</remarks>
internal sealed class FollowStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Make the old primary a standby", work.OldDatabase.Display, after)
{
    public const string StepKey = "follow-region";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);

    public override string Describe() => $"Has '{Intent.From}' follow '{Intent.To}' from where it stopped.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        string directory = Work.OldDirectory ?? throw new SmcException(
            SmcErrorCode.RegionUnsuitable,
            $"The data directory of the old primary, '{Work.From.Database!.DataDirectory}', is not on this host.",
            recommendation: "Go on with the plan on the host where it was begun.",
            target: Intent.From);
        HostServer server = await Work.OpenOldServerAsync(cancellationToken).ConfigureAwait(false);
        if (server.FindRunning() is null)
        {
            StandbySource source = await StandbySource.CreateAsync(
                Work.Site,
                Work.To,
                Work.From,
                Work.NewDatabase,
                ulong.Parse(Intent.SystemId, System.Globalization.CultureInfo.InvariantCulture),
                directory,
                Intent.Program,
                cancellationToken).ConfigureAwait(false);
            await StandbySlot.EnsureAsync(Work.NewDatabase, Work.Site.GetStandbySlot(Work.From), cancellationToken).ConfigureAwait(false);
            source.WritePassword(server.Account);
            source.WriteConfiguration(directory, server.Account);
            // Last: without it the server would start as a second primary, and with it and without the settings it would follow nobody.
            StandbySource.WriteSignal(directory, server.Account);
            await server.StartAsync(null, null, s_limit, cancellationToken).ConfigureAwait(false);
        }

        // A standby keeps WAL for its slots as a primary does, and nobody streams by these any more: its disk would fill.
        await StandbySlot.DropAsync(
            Work.OldDatabase, [Work.From.Database!.Slot, Work.Site.GetStandbySlot(Work.To)], cancellationToken).ConfigureAwait(false);
        return $"It follows '{Intent.To}'.";
    }

    public override async Task VerifyAsync(StepContext context, CancellationToken cancellationToken)
    {
        DatabaseSighting there = await Work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        if (there is not { IsReachable: true, IsStandby: true })
        {
            throw new SmcException(
                SmcErrorCode.VerificationFailed, there.Problem ?? $"PostgreSQL at {there.Server} should be a standby and is a primary.", target: there.Server);
        }
    }
}
