using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Makes the former primary a standby of the one that leads: by rewinding it, or else by a delta restore from the repository.</summary>
internal sealed class RejoinStep(FailbackWork work, params string[] after)
    : FailbackStep(work, StepKey, "Make the former primary a standby", work.Switch.NewDatabase.Display, after)
{
    public const string StepKey = "rejoin-database";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);

    public override string Describe() => Intent.NoRewind
        ? $"Makes it a standby of '{Work.Leader.Name}' by a delta restore from the repository."
        : $"Makes it a standby of '{Work.Leader.Name}' by pg_rewind, and where that cannot be or fails, by a delta restore from the repository.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) =>
        await Work.LookAsync(cancellationToken).ConfigureAwait(false) is (_, Follows: true)
            ? StepCheck.AlreadyDone($"It follows '{Work.Leader.Name}'.")
            : StepCheck.Needed;

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        string directory = Work.Directory;
        await Rewinding.WaitForLeftOverAsync(directory, cancellationToken).ConfigureAwait(false);
        HostServer server = await Work.OpenServerAsync(cancellationToken).ConfigureAwait(false);
        Rejoining? begun = context.GetSaved(RegionFailbackJson.Default.Rejoining);
        Rejoining way = begun switch
        {
            null or { Method: Rejoining.Rewind, IsRewound: false } => await ChooseAsync(context, server, cancellationToken).ConfigureAwait(false),
            _ => begun,
        };
        await SaveAsync(context, way, cancellationToken).ConfigureAwait(false);
        if (way.Method == Rejoining.Rewind)
        {
            string? problem = await RewindAsync(context, server, way, cancellationToken).ConfigureAwait(false);
            if (problem is null)
            {
                return $"It was rewound, and follows '{Work.Leader.Name}'.";
            }

            way = new Rejoining(Rejoining.Delta, false, problem);
            await SaveAsync(context, way, cancellationToken).ConfigureAwait(false);
        }

        if (way.Method == Rejoining.Follow)
        {
            await RestoreAsync(context, server, isDelta: false, cancellationToken).ConfigureAwait(false);
            return $"It was a standby already, and follows '{Work.Leader.Name}' again.";
        }

        context.Observer.Warning($"The former primary is restored from the repository, and not rewound: {way.Reason}");
        RegionReplicaResult result = await RestoreAsync(context, server, isDelta: true, cancellationToken).ConfigureAwait(false);
        Rewinding.Forget(server.DataDirectory);
        await DropSlotsAsync(cancellationToken).ConfigureAwait(false);
        return $"It was restored from {(result.BackupId is null ? "the repository" : $"the backup {result.BackupId}")}" +
            $"{(result.KeptBytes is { } bytes ? $", {DisplayText.Size(bytes)} were right in it and stayed" : "")}: {way.Reason}";
    }

    public override async Task VerifyAsync(StepContext context, CancellationToken cancellationToken)
    {
        DatabaseSighting there = await Work.Switch.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        if (there is not { IsReachable: true, IsStandby: true })
        {
            throw new SmcException(
                SmcErrorCode.VerificationFailed, there.Problem ?? $"PostgreSQL at {there.Server} should be a standby and is a primary.", target: there.Server);
        }
    }

    private static Task SaveAsync(StepContext context, Rejoining way, CancellationToken cancellationToken) =>
        context.SaveAsync(way, RegionFailbackJson.Default.Rejoining, cancellationToken);

    private async Task<Rejoining> ChooseAsync(StepContext context, HostServer server, CancellationToken cancellationToken)
    {
        // A delta restore that was begun has taken pg_control away.
        if (RecoveryState.TryRead(server.DataDirectory) is { Phase: not RecoveryPhase.Done })
        {
            return new Rejoining(Rejoining.Delta, false, "A restore into its directory was begun before.");
        }

        if (Rewinding.WasCutOff(server.DataDirectory))
        {
            return new Rejoining(Rejoining.Delta, false, "An earlier pg_rewind was cut off, and what it left is no database.");
        }

        FailbackFacts facts = context.GetOutput(AssessFailbackStep.StepKey, RegionFailbackJson.Default.FailbackFacts)!;
        if (facts.Left is null && File.Exists(Path.Combine(server.DataDirectory, RecoveryConfiguration.StandbySignalName)))
        {
            return new Rejoining(Rejoining.Follow, false, null);
        }

        if (Intent.NoRewind)
        {
            return new Rejoining(Rejoining.Delta, false, "That was asked for.");
        }

        ControlFile control = await ControlFile.ReadAsync(server.DataDirectory, cancellationToken).ConfigureAwait(false);
        string? problem = await Rewinding.FindProblemAsync(
            server, control, facts, Work.Switch.OldDatabase, Work.Switch.OldDirectory, cancellationToken).ConfigureAwait(false);
        return problem is not null
            ? new Rejoining(Rejoining.Delta, false, problem)
            : new Rejoining(Rejoining.Rewind, false, null);
    }

    /// <returns>Why it failed; null where it did not.</returns>
    private async Task<string?> RewindAsync(StepContext context, HostServer server, Rejoining way, CancellationToken cancellationToken)
    {
        KeptLoss kept = context.GetOutput(KeepLostStep.StepKey, RegionFailbackJson.Default.KeptLoss)!;
        StandbySource source = await StandbySource.CreateAsync(
            Work.Site,
            Work.Leader,
            Work.Former,
            Work.Switch.OldDatabase,
            ulong.Parse(Intent.Switch.SystemId, CultureInfo.InvariantCulture),
            server.DataDirectory,
            Intent.Switch.Program,
            cancellationToken).ConfigureAwait(false);
        // First: from then on the one that leads keeps what this one will want.
        await StandbySlot.EnsureAsync(Work.Switch.OldDatabase, Work.Site.GetStandbySlot(Work.Former), cancellationToken).ConfigureAwait(false);
        source.WritePassword(server.Account);
        if (!way.IsRewound)
        {
            context.Observer.Progress(new OperationProgress(Title, "pg_rewind"));
            if (await Rewinding.RunAsync(server, source, Work.Switch.OldDatabase, kept.Directory, context.Observer, cancellationToken)
                .ConfigureAwait(false) is { } problem)
            {
                return problem;
            }

            // At once: without it the next start would make a primary of it, of the other's history.
            StandbySource.WriteSignal(server.DataDirectory, server.Account);
            Rewinding.Forget(server.DataDirectory);
            KeptConfiguration.Restore(server, kept.Directory);
            source.WriteConfiguration(server.DataDirectory, server.Account);
            await SaveAsync(context, way with { IsRewound = true }, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            if (server.FindRunning() is null)
            {
                await server.StartAsync(null, null, s_limit, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.ServerStartFailed or SmcErrorCode.OperationTimedOut)
        {
            return $"It was rewound and does not start: {e.Message}";
        }

        await DropSlotsAsync(cancellationToken).ConfigureAwait(false);
        return null;
    }

    private async Task<RegionReplicaResult> RestoreAsync(
        StepContext context, HostServer server, bool isDelta, CancellationToken cancellationToken)
    {
        // A restore that was begun knows by itself how far it is, and what of the server is its own.
        if (isDelta && RecoveryState.TryRead(server.DataDirectory) is null)
        {
            await server.StopAsync(StopMode.Fast, s_limit, cancellationToken).ConfigureAwait(false);
            // With it the directory would be taken for a standby that only has to be started.
            File.Delete(Path.Combine(server.DataDirectory, RecoveryConfiguration.StandbySignalName));
        }

        RegionReplicaRequest request = new()
        {
            Repository = Work.Context.Repository,
            Region = Work.Former.Name,
            Delta = isDelta,
            Program = Intent.Switch.Program,
            IsDatabaseAlone = true,
        };
        RegionReplicaPlan plan = await RegionReplica.PlanAsync(
            Work.Site, Work.Context.Secrets, request, context.Observer, cancellationToken).ConfigureAwait(false);
        return (await RegionReplica.ExecuteAsync(Work.Site, Work.Context.Secrets, plan, context.Observer, cancellationToken).ConfigureAwait(false))[0];
    }

    /// <summary>A standby keeps WAL for its slots as a primary does, and nobody streams by these any more: its disk would fill.</summary>
    private Task DropSlotsAsync(CancellationToken cancellationToken) => StandbySlot.DropAsync(
        Work.Switch.NewDatabase, [Work.Former.Database!.Slot, Work.Site.GetStandbySlot(Work.Leader)], cancellationToken);
}
