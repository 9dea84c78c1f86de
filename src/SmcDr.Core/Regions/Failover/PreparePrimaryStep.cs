using Npgsql;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Makes the promoted server ready: a checkpoint on its timeline, and the slot of its WAL stream.</summary>
internal sealed class PreparePrimaryStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Prepare the new primary", work.NewDatabase.Display, after)
{
    public const string StepKey = "prepare-primary";

    public override string Describe() => $"Has it make a checkpoint, and the slot '{Work.To.Database!.Slot}' for its WAL stream.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        // It is there, unless it could not be made on the standby or was lost since (KeepWalStep).
        string? slot = await StandbySlot.EnsureAsync(Work.NewDatabase, Work.To.Database!.Slot, cancellationToken).ConfigureAwait(false);
        NpgsqlConnection connection = await Work.NewDatabase.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                // The control file names the new timeline from the first checkpoint on, and pg_rewind goes by it.
                NpgsqlCommand command = new("CHECKPOINT", connection);
                await using (command.ConfigureAwait(false))
                {
                    await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                }

                return $"A checkpoint was made. {slot ?? "The slot was there."}";
            }
            catch (PostgresException e)
            {
                throw Work.NewDatabase.Translate(e);
            }
        }
    }
}
