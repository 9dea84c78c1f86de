using Npgsql;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Stops the old primary, where it can be reached.</summary>
/// <remarks>
/// On this host and in a cluster it is stopped. Elsewhere there is SQL alone, by which a server cannot be stopped: it is told to take no writes, which its
/// clients may undo. So it is no fence, and says so.
/// </remarks>
internal sealed class StopPrimaryStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Stop the old primary", work.OldDatabase.Display, after)
{
    public const string StepKey = "stop-primary";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_hurry = TimeSpan.FromSeconds(30);

    public override bool CanUndo => true;

    public override string Describe() => Intent.Planned
        ? "Shuts it down cleanly, so that the standby gets all, its last checkpoint included."
        : "Stops it where it is on this host or in a cluster that answers; elsewhere has it take no writes, where it answers.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        PrimaryStop? earlier = context.GetSaved(RegionFailoverJson.Default.PrimaryStop);
        if (Work.OldDirectory is not null)
        {
            return await StopOnHostAsync(context, earlier, cancellationToken).ConfigureAwait(false);
        }

        if (Work.From is { Database.Workload: { } workload, Kubernetes: not null })
        {
            try
            {
                return await StopInClusterAsync(context, workload, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (!Intent.Planned && FailoverWork.IsClusterLost(e))
            {
                return Leave(context, e.Message);
            }
        }

        return Intent.Planned
            ? throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"The old primary at {Work.OldDatabase.Display} is neither on this host nor in a workload, so it cannot be shut down from here.",
                recommendation: "Run the command on the host of the old primary.",
                target: Intent.From)
            : await SilenceAsync(context, cancellationToken).ConfigureAwait(false);
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        if (context.GetSaved(RegionFailoverJson.Default.PrimaryStop) is not { HasStopped: true })
        {
            return "It was not stopped by this plan.";
        }

        if (Work.OldDirectory is not null)
        {
            HostServer server = await Work.OpenOldServerAsync(cancellationToken).ConfigureAwait(false);
            if (server.FindRunning() is null)
            {
                await server.StartAsync(null, null, s_limit, cancellationToken).ConfigureAwait(false);
            }

            return "It was started again.";
        }

        if (Work.From.Database!.Workload is { } workload)
        {
            await Work.WithWorkloadsAsync(
                Work.From,
                context.Observer,
                workloads => workloads.ResumeAsync(WorkloadName.Parse(workload), wait: true, cancellationToken),
                cancellationToken).ConfigureAwait(false);
            return $"'{workload}' was started again.";
        }

        await ExecuteAsync("ALTER SYSTEM RESET default_transaction_read_only", cancellationToken).ConfigureAwait(false);
        await ExecuteAsync("SELECT pg_catalog.pg_reload_conf()", cancellationToken).ConfigureAwait(false);
        return "It takes writes again.";
    }

    private async Task<string> StopOnHostAsync(StepContext context, PrimaryStop? earlier, CancellationToken cancellationToken)
    {
        HostServer server = await Work.OpenOldServerAsync(cancellationToken).ConfigureAwait(false);
        bool runs = server.FindRunning() is not null;
        // Before it is stopped: whoever takes this back must know that it was this plan.
        await SaveAsync(context, new PrimaryStop(null, runs || earlier is { HasStopped: true }), cancellationToken).ConfigureAwait(false);
        try
        {
            await server.StopAsync(StopMode.Fast, Intent.Planned ? s_limit : s_hurry, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (!Intent.Planned && e.Code == SmcErrorCode.OperationTimedOut)
        {
            await server.EndAsync().ConfigureAwait(false);
        }

        if (!Intent.Planned)
        {
            return runs ? "It was stopped." : "It does not run.";
        }

        ControlFile control = await ControlFile.ReadAsync(Work.OldDirectory!, cancellationToken).ConfigureAwait(false);
        if (control.State != DatabaseState.ShutDown)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"The old primary in '{Work.OldDirectory}' was not shut down cleanly: its state is {control.State}.",
                recommendation: "Start it, see why, and run the command again; or take the plan back (Undo-SmcPlan, 'smcdr plan undo'). " +
                    "Without -Planned (--planned) it is left behind as it is.",
                target: Intent.From);
        }

        await SaveAsync(context, new PrimaryStop(control.CheckpointLsn, true), cancellationToken).ConfigureAwait(false);
        return $"It was shut down cleanly; its last checkpoint is at {control.CheckpointLsn}.";
    }

    private async Task<string> StopInClusterAsync(StepContext context, string workload, CancellationToken cancellationToken)
    {
        // Nobody writes to it now. A server that is shut down sends all that it has to the standbys that are connected before it ends (walsender.c).
        DatabaseSighting primary = await Work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        Lsn? end = primary is { IsReachable: true, IsStandby: false } ? primary.Lsn : context.GetSaved(RegionFailoverJson.Default.PrimaryStop)?.Lsn;
        await SaveAsync(context, new PrimaryStop(end, true), cancellationToken).ConfigureAwait(false);
        if (!Intent.Planned)
        {
            return await Work.StopBehindAsync([WorkloadName.Parse(workload)], context.Observer, cancellationToken).ConfigureAwait(false) is [{ } problem]
                ? Leave(context, problem, "stopped")
                : $"'{workload}' was stopped.";
        }

        await Work.WithWorkloadsAsync(
            Work.From, context.Observer, workloads => workloads.SuspendAsync(WorkloadName.Parse(workload), cancellationToken), cancellationToken)
                .ConfigureAwait(false);
        return $"'{workload}' was stopped.";
    }

    private async Task<string> SilenceAsync(StepContext context, CancellationToken cancellationToken)
    {
        DatabaseSighting primary = await Work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        if (primary is not { IsReachable: true, IsStandby: false })
        {
            return Leave(context, primary.Problem ?? "it is a standby");
        }

        await SaveAsync(context, new PrimaryStop(null, true), cancellationToken).ConfigureAwait(false);
        await ExecuteAsync("ALTER SYSTEM SET default_transaction_read_only = on", cancellationToken).ConfigureAwait(false);
        await ExecuteAsync("SELECT pg_catalog.pg_reload_conf()", cancellationToken).ConfigureAwait(false);
        await ExecuteAsync(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity " +
            "WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()",
            cancellationToken).ConfigureAwait(false);
        context.Observer.Warning(
            $"The old primary at {primary.Server} is on another host and cannot be stopped from here. It takes no writes by default now; stop it there.");
        return "It takes no writes by default, and its sessions were ended; stop it on its own host.";
    }

    private string Leave(StepContext context, string problem, string verb = "reached")
    {
        context.Observer.Warning(
            $"The old primary at {Work.OldDatabase.Display} could not be stopped: {problem} Nothing that is committed there is kept any more; stop it " +
                "as soon as it can be reached.");
        return $"It could not be {verb}: {problem}";
    }

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await Work.OldDatabase.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            NpgsqlCommand command = new(sql, connection);
            await using (command.ConfigureAwait(false))
            {
                try
                {
                    await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (NpgsqlException e)
                {
                    throw Work.OldDatabase.Translate(e);
                }
            }
        }
    }

    private static Task SaveAsync(StepContext context, PrimaryStop stop, CancellationToken cancellationToken) =>
        context.SaveAsync(stop, RegionFailoverJson.Default.PrimaryStop, cancellationToken);
}
