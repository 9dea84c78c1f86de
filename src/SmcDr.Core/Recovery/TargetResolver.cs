using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>
/// Finds out, before anything is restored, whether PostgreSQL will stop at a target, where, and on which timeline. What it would
/// only find out at the end of a replay of hours is refused here.
/// </summary>
internal sealed class TargetResolver(WalArchive archive, BackupHeader backup, RecoveryTarget target)
{
    private DatabaseBackupDetails Details => backup.Database!;

    /// <summary>Resolves the target.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TargetOutsideWindow"/>, <see cref="SmcErrorCode.TargetNotReached"/>, <see cref="SmcErrorCode.WalGap"/>,
    /// <see cref="SmcErrorCode.TimelineMismatch"/>.
    /// </exception>
    public async Task<RecoveryStop> ResolveAsync(CancellationToken cancellationToken)
    {
        // "As soon as consistent" needs no other timeline than the backup's; following a newer one would record a wrong ancestry.
        uint? follow = target.Kind == RecoveryTargetKind.Immediate ? Details.Timeline : target.Timeline;
        WalCoverage coverage = await CoverAsync(follow, cancellationToken).ConfigureAwait(false);
        if (coverage.EndLsn < Details.StopLsn)
        {
            throw Gap(coverage, $"The WAL that makes the backup '{backup.Id}' consistent, up to {Details.StopLsn}, is not complete");
        }

        RecoveryStop stop = target.Kind switch
        {
            RecoveryTargetKind.Latest => Latest(coverage),
            RecoveryTargetKind.Immediate => new RecoveryStop(
                coverage, target, Details.StopLsn, $"the base backup is consistent at {Details.StopLsn}."),
            RecoveryTargetKind.Time => await TimeAsync(coverage, cancellationToken).ConfigureAwait(false),
            RecoveryTargetKind.Lsn => Position(coverage),
            RecoveryTargetKind.Name => Name(coverage),
            _ => await TransactionAsync(coverage, cancellationToken).ConfigureAwait(false),
        };

        // A server that stops before the fork of the timeline that it was told to follow writes a history that claims WAL which it
        // never replayed. So it is told the timeline on which it stops, and that one's files are brought.
        if (stop is { StopAt: not null, NeededLsn: { } needed } &&
            coverage.History.TimelineAt(new Lsn(needed.Value - 1)) is var owner && owner != coverage.EndTimeline)
        {
            coverage = await CoverAsync(owner, cancellationToken).ConfigureAwait(false);
            // A position can be the very end of the WAL.
            Lsn end = target.Lsn ?? needed;
            if (coverage.EndLsn < end)
            {
                throw Gap(coverage, $"The WAL of timeline {owner} up to {end} is not complete");
            }

            stop = stop with { Coverage = coverage };
        }

        return stop;
    }

    private Task<WalCoverage> CoverAsync(uint? timeline, CancellationToken cancellationToken) =>
        archive.GetReadableCoverageAsync(Details.Timeline, Details.StartLsn, Details.StopLsn, timeline, cancellationToken);

    private RecoveryStop Latest(WalCoverage coverage) => coverage.Gap is null
        ? new RecoveryStop(coverage, null, null, $"the archive ends at {coverage.EndLsn}.")
        : throw Gap(coverage, "The archive goes on behind a gap");

    private async Task<RecoveryStop> TimeAsync(WalCoverage coverage, CancellationToken cancellationToken)
    {
        DateTimeOffset time = target.Time!.Value;
        if (time < Details.StopTime)
        {
            throw Outside(coverage, $"The backup '{backup.Id}' is only consistent from {RecoveryPlan.Time(Details.StopTime)} on");
        }

        // PostgreSQL stops at the first end of a transaction behind the time (xlogrecovery.c, recoveryStopsBefore), and fails where
        // there is none. With "exclusive" one exactly at the time counts as behind it.
        WalTransaction? first = null;
        bool Follows(WalTransaction t) => target.Inclusive ? t.Time > time : t.Time >= time;
        if (coverage.FindCommitAfter(time, !target.Inclusive) is { } item)
        {
            int index = coverage.Items.ToList().IndexOf(item);
            // Its record may begin in the segment before, or earlier where it is long.
            await archive.ScanAsync(
                [.. coverage.Items.Skip(Math.Max(0, index - 1)).Take(index == 0 ? 1 : 2)],
                coverage.EndTimeline,
                t => first = first is null && t.EndLsn > Details.StopLsn && Follows(t) ? t : first,
                null,
                cancellationToken).ConfigureAwait(false);
            return new RecoveryStop(
                coverage,
                target,
                first?.EndLsn ?? item.EndLsn,
                $"the next transaction ended at {(first is null ? "a later time" : RecoveryPlan.Time(first.Time))}.");
        }

        DateTimeOffset? latest = Latest(coverage.ServerTime, coverage.LastStopTime);
        if (latest is { } clock && clock >= time)
        {
            return new RecoveryStop(
                coverage,
                null,
                null,
                $"no transaction ended between then and {RecoveryPlan.Time(clock)}, where the unbroken WAL ends, so all of it is replayed: the state is the same.");
        }

        if (coverage.Gap is not null)
        {
            throw Gap(coverage, $"No transaction ended behind {target} before the archive is broken");
        }

        throw new SmcException(
            SmcErrorCode.TargetNotReached,
            $"The archive ends before {target}: it can be recovered from {RecoveryPlan.Time(Details.StopTime)} to " +
            $"{(latest is { } end ? RecoveryPlan.Time(end) : "the end of the base backup")}.",
            target: target.ToString());
    }

    private RecoveryStop Position(WalCoverage coverage)
    {
        Lsn lsn = target.Lsn!.Value;
        if (lsn < Details.StopLsn)
        {
            throw Outside(coverage, $"The backup '{backup.Id}' is only consistent from {Details.StopLsn} on");
        }

        if (lsn > coverage.EndLsn)
        {
            throw coverage.Gap is not null
                ? Gap(coverage, $"{target} lies behind a gap in the archive")
                : Outside(coverage, $"The archive ends at {coverage.EndLsn}");
        }

        // The record at which PostgreSQL stops begins at or behind the position: at the next end of a transaction at the latest.
        WalItem? next = coverage.Items.FirstOrDefault(i => i.StartLsn >= lsn && i.Index.LastEnd is not null);
        return new RecoveryStop(coverage, target, next is null ? null : Max(next.EndLsn, lsn), $"the archive holds WAL up to {coverage.EndLsn}.") is var stop &&
            coverage.History.TimelineAt(lsn) != coverage.EndTimeline
                // Which timeline it is on is told by the position itself, not by how much is brought.
                ? stop with { NeededLsn = lsn + 1 }
                : stop;
    }

    private RecoveryStop Name(WalCoverage coverage)
    {
        WalRestorePoint? point = coverage.FindRestorePoint(target.Name!);
        if (point is null || point.Lsn < Details.StopLsn)
        {
            throw coverage.Gap is not null
                ? Gap(coverage, $"There is no {target} before the archive is broken")
                : Outside(coverage, $"There is no {target} in the WAL behind the backup '{backup.Id}'");
        }

        return new RecoveryStop(coverage, target, point.EndLsn, $"it lies at {point.Lsn}, made {RecoveryPlan.Time(point.Time)}.");
    }

    private async Task<RecoveryStop> TransactionAsync(WalCoverage coverage, CancellationToken cancellationToken)
    {
        WalTransaction? transaction = await coverage.FindXidAsync(target.Xid!.Value, cancellationToken).ConfigureAwait(false);
        if (transaction is null || transaction.StartLsn < Details.StopLsn)
        {
            throw coverage.Gap is not null
                ? Gap(coverage, $"The end of transaction {target.Value} is not in the WAL before the archive is broken")
                : Outside(coverage, $"The end of transaction {target.Value} is not in the WAL behind the backup '{backup.Id}'");
        }

        return new RecoveryStop(
            coverage,
            target,
            transaction.EndLsn,
            $"it was {(transaction.IsCommit ? "committed" : "rolled back")} at {RecoveryPlan.Time(transaction.Time)}.");
    }

    private static DateTimeOffset? Latest(DateTimeOffset? left, DateTimeOffset? right) => left is null || right > left ? right : left;

    private static Lsn Max(Lsn left, Lsn right) => left > right ? left : right;

    private SmcException Outside(WalCoverage coverage, string why)
    {
        DateTimeOffset? latest = Latest(coverage.ServerTime, coverage.LastStopTime);
        return new SmcException(
            SmcErrorCode.TargetOutsideWindow,
            $"{why}. What can be recovered goes from {RecoveryPlan.Time(Details.StopTime)} ({Details.StopLsn}) to " +
            $"{(latest is { } end ? RecoveryPlan.Time(end) + " " : "")}({coverage.EndLsn}).",
            target: target.ToString());
    }

    private SmcException Gap(WalCoverage coverage, string why)
    {
        if (coverage.Unreadable is { } closed)
        {
            return new SmcException(
                closed.Code,
                $"{why}: the segment '{coverage.Gap}' cannot be read. {closed.Message} The WAL that can be read ends at {coverage.EndLsn}.",
                closed,
                closed.Recommendation,
                coverage.Gap?.ToString());
        }

        string missing = (coverage.Gap ?? WalSegmentName.Containing(coverage.EndLsn, coverage.EndTimeline, Details.WalSegmentSize)).ToString();
        return new SmcException(
            SmcErrorCode.WalGap,
            $"{why}: the segment '{missing}' is missing. The unbroken WAL ends at {coverage.EndLsn}" +
            (coverage.LastStopTime is { } last ? $", with a transaction that ended {RecoveryPlan.Time(last)}." : "."),
            target: missing);
    }
}
