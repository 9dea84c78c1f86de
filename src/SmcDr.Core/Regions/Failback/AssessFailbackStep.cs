using Npgsql;
using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Notes where the former primary and the one that leads part, before anything is changed.</summary>
internal sealed class AssessFailbackStep(FailbackWork work)
    : FailbackStep(work, StepKey, "Assess the former primary", work.Switch.NewDatabase.Display)
{
    public const string StepKey = "assess-failback";

    public override string Describe() => $"Finds where the history of '{Work.Former.Name}' and that of '{Work.Leader.Name}' part.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) =>
        await Work.LookAsync(cancellationToken).ConfigureAwait(false) is (_, Follows: true)
            ? StepCheck.AlreadyDone($"'{Work.Former.Name}' follows '{Work.Leader.Name}'.")
            : StepCheck.Needed;

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        string directory = Work.Directory;
        ControlFile control = await ControlFile.ReadAsync(directory, cancellationToken).ConfigureAwait(false);
        TimelineHistory history = await ReadLeaderAsync(cancellationToken).ConfigureAwait(false);
        FailbackFacts facts = await ForkPoint.FindAsync(
            directory, Math.Max(control.Timeline, control.MinimumRecoveryTimeline), history, cancellationToken).ConfigureAwait(false);
        await context.SaveAsync(facts, RegionFailbackJson.Default.FailbackFacts, cancellationToken).ConfigureAwait(false);
        return facts.Left is { } left
            ? $"It is on timeline {facts.Lineage[0]}, which parts at {left} from timeline {facts.LeaderTimeline} of '{Work.Leader.Name}'."
            : $"It is on timeline {facts.Lineage[0]}, as '{Work.Leader.Name}' is.";
    }

    private async Task<TimelineHistory> ReadLeaderAsync(CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await Work.Switch.OldDatabase.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                ServerPosition position = await ServerPosition.ReadAsync(connection, cancellationToken).ConfigureAwait(false);
                return position.History ?? throw new SmcException(
                    SmcErrorCode.RegionUnsuitable,
                    $"PostgreSQL at {Work.Switch.OldDatabase.Display} has no history of its timeline {position.Timeline} any more.",
                    recommendation: $"Put {TimelineHistory.FileName(position.Timeline)} back into its pg_wal: the repository has it.",
                    target: Work.Leader.Name);
            }
            catch (PostgresException e)
            {
                throw Work.Switch.OldDatabase.Translate(e);
            }
        }
    }
}
