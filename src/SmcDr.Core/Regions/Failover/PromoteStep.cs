using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Promotes the standby.</summary>
internal sealed class PromoteStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Promote the standby", work.NewDatabase.Display, after)
{
    public const string StepKey = "promote-database";
    private const int Seconds = 300;

    public override string Describe() => $"Makes it the primary, on a timeline behind {Intent.Timeline}.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken)
    {
        DatabaseSighting there = await Work.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        return !there.IsReachable ? throw new SmcException(SmcErrorCode.ServerUnavailable, there.Problem!, target: there.Server)
            : !there.IsStandby && there.Timeline > Intent.Timeline ? StepCheck.AlreadyDone($"It is the primary on timeline {there.Timeline}.")
            : StepCheck.Needed;
    }

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        Npgsql.NpgsqlConnection connection = await Work.NewDatabase.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            bool isPromoted;
            try
            {
                isPromoted = await ServerFacts.ScalarAsync<bool>(
                    connection, FormattableString.Invariant($"SELECT pg_catalog.pg_promote(true, {Seconds})"), cancellationToken).ConfigureAwait(false);
            }
            catch (Npgsql.PostgresException e)
            {
                throw Work.NewDatabase.Translate(e);
            }

            return isPromoted
                ? "It was promoted."
                : throw new SmcException(
                    SmcErrorCode.OperationTimedOut,
                    $"The standby at {Work.NewDatabase.Display} was told to become the primary, and was not after {Seconds} seconds.",
                    recommendation: "Look into its log.",
                    target: Intent.To);
        }
    }

    public override async Task VerifyAsync(StepContext context, CancellationToken cancellationToken)
    {
        DatabaseSighting there = await Work.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        if (there is not { IsReachable: true, IsStandby: false } || there.Timeline <= Intent.Timeline)
        {
            throw new SmcException(
                SmcErrorCode.VerificationFailed,
                there.Problem ?? $"PostgreSQL at {there.Server} is {(there.IsStandby ? "a standby still" : "a primary")}, on timeline {there.Timeline}.",
                target: there.Server);
        }
    }
}
