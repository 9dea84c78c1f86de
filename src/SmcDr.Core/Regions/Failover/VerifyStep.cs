using Npgsql;
using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Has the new primary take a write.</summary>
internal sealed class VerifyStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Verify the new region", work.To.Name, after)
{
    public const string StepKey = "verify-region";

    public override string Describe() => "Has the new primary commit a transaction, and looks whether it accepts ordinary ones.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await Work.NewDatabase.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                // A write that leaves nothing behind: a record in the WAL, for which its commit waits. (One of a transaction with an id and without a record
                // of its own is not waited for: xact.c, RecordTransactionCommit.)
                await ServerFacts.ScalarAsync<string>(
                    connection, "SELECT pg_catalog.pg_logical_emit_message(true, 'smcdr', 'failover')::pg_catalog.text", cancellationToken)
                    .ConfigureAwait(false);
                if (await ServerFacts.ScalarAsync<string>(
                    connection, "SELECT pg_catalog.current_setting('transaction_read_only')", cancellationToken).ConfigureAwait(false) != "off")
                {
                    throw new SmcException(
                        SmcErrorCode.VerificationFailed,
                        $"PostgreSQL at {Work.NewDatabase.Display} takes no writes by default (default_transaction_read_only).",
                        recommendation: "ALTER SYSTEM RESET default_transaction_read_only and SELECT pg_reload_conf() there; an earlier failover away " +
                            "from it has set it.",
                        target: Work.NewDatabase.Display);
                }
            }
            catch (PostgresException e)
            {
                throw Work.NewDatabase.Translate(e);
            }
        }

        // The first time counts, whatever came later.
        FailoverWrites writes = context.GetSaved(RegionFailoverJson.Default.FailoverWrites) ?? new FailoverWrites(DateTimeOffset.UtcNow);
        await context.SaveAsync(writes, RegionFailoverJson.Default.FailoverWrites, cancellationToken).ConfigureAwait(false);
        return "It takes writes.";
    }
}
