using Npgsql;
using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Says how long it took and what was lost.</summary>
internal sealed class ReportStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Measure what it took", work.Site.Name, after)
{
    public const string StepKey = "report-failover";

    public override string Describe() => "Measures how long it took and what was lost, in the old primary's own WAL where that can be read.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        FailoverFacts? facts = context.GetOutput(AssessStep.StepKey, RegionFailoverJson.Default.FailoverFacts);
        DateTimeOffset writes = context.GetOutput(VerifyStep.StepKey, RegionFailoverJson.Default.FailoverWrites)?.Time ?? DateTimeOffset.UtcNow;
        DateTimeOffset asked = Intent.AskedTime ?? facts?.StartTime ?? writes;
        double rto = (writes - asked).TotalSeconds;
        (uint timeline, uint? parent, Lsn? left, bool isShutDown) = await ReadSwitchAsync(context, cancellationToken).ConfigureAwait(false);
        (FailoverReport report, string loss) = Intent.Planned
            ? MeasurePlanned(context, new FailoverReport(rto, left, null, null, null, null), isShutDown)
            : await MeasureAsync(context, facts, new FailoverReport(rto, left, null, null, null, null), parent, cancellationToken).ConfigureAwait(false);
        await context.SaveAsync(report, RegionFailoverJson.Default.FailoverReport, cancellationToken).ConfigureAwait(false);
        context.Failover = new RegionFailoverResult
        {
            Site = Work.Site.Name,
            PlanId = context.PlanId,
            From = Intent.From,
            To = Intent.To,
            IsPlanned = Intent.Planned,
            StartTime = asked,
            WriteTime = writes,
            Rto = Work.Site.Objectives.Database?.Rto,
            LostTransactions = report.LostTransactions,
            LostBytes = report.LostBytes,
            FirstLostTime = report.FirstLost,
            LastLostTime = report.LastLost,
            LossSeconds = report.LostTransactions == 0 ? 0 : (report.LastLost - report.FirstLost)?.TotalSeconds,
            Rpo = Work.Site.Objectives.Database?.Rpo,
            Timeline = timeline,
            SwitchLsn = left,
            DnsUndo = context.GetOutput(SwitchDnsStep.StepKey, RegionFailoverJson.Default.DnsSwitch)?.Undo,
        };
        if (context.Failover.RtoVerdict == "Missed")
        {
            context.Observer.Warning(
                $"The site allows its database {DisplayText.Duration(context.Failover.Rto)} to be back, and it took {DisplayText.Seconds(rto)}.");
        }

        if (context.Failover.RpoVerdict == "Missed")
        {
            context.Observer.Warning(
                $"The site allows {DisplayText.Duration(context.Failover.Rpo)} of its database to be lost, and " +
                    $"{DisplayText.Seconds(context.Failover.LossSeconds)} were.");
        }

        return $"'{Intent.To}' leads on timeline {timeline}{(left is null ? "" : $", which begins at {left}")}, and took writes " +
            $"{DisplayText.Seconds(rto)} after {(Intent.AskedTime is null ? "the switchover began" : "the command")}. {loss} Commands go by that from " +
            $"now on. Start the WAL stream again, which comes from '{Intent.To}' now, and take a base backup" + (Work.Site.HomeRegion.Name == Intent.To ? "." : "; correct the roles in the site file if the site is to stay there.");
    }

    private async Task<(uint Timeline, uint? Parent, Lsn? Left, bool IsShutDown)> ReadSwitchAsync(StepContext context, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await Work.NewDatabase.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                ServerPosition position = await ServerPosition.ReadAsync(connection, cancellationToken).ConfigureAwait(false);
                return position.History?.Branches is [.., { } branch]
                    ? (position.Timeline, branch.Timeline, branch.SwitchLsn,
                        Intent.Planned && await IsShutDownAsync(context, connection, position.Timeline, branch, cancellationToken).ConfigureAwait(false))
                    : (position.Timeline, null, null, false);
            }
            catch (PostgresException e)
            {
                throw Work.NewDatabase.Translate(e);
            }
        }
    }

    /// <summary>Whether the old primary was shut down and did not just end, as a pod does whose grace period was too short (SIGKILL).</summary>
    private async Task<bool> IsShutDownAsync(
        StepContext context, NpgsqlConnection connection, uint timeline, TimelineBranch branch, CancellationToken cancellationToken)
    {
        if (Work.OldDirectory is not null)
        {
            // Its control file said so when it was stopped, or it would not have been gone on.
            return true;
        }

        try
        {
            return await ShutdownCheckpoint.IsBeforeAsync(connection, timeline, branch.Timeline, branch.SwitchLsn, cancellationToken).ConfigureAwait(false);
        }
        catch (PostgresException e)
        {
            context.Observer.Verbose($"How the old primary ended cannot be read from the WAL of the new one: {e.MessageText}");
            return false;
        }
    }

    private (FailoverReport Report, string Text) MeasurePlanned(StepContext context, FailoverReport report, bool isShutDown)
    {
        if (isShutDown)
        {
            return (report with { LostBytes = 0, LostTransactions = 0 }, "Nothing was lost: the old primary was shut down, and all of its WAL replayed.");
        }

        string end = context.GetOutput(StopPrimaryStep.StepKey, RegionFailoverJson.Default.PrimaryStop)?.Lsn is { } lsn
            ? $"All WAL of the old primary up to {lsn} was replayed, where it stood when its writers were stopped. "
            : "";
        context.Observer.Warning(
            $"That the old primary at {Work.OldDatabase.Display} was shut down cleanly is not proven: its WAL does not end with a shutdown's checkpoint, as of a " +
                "pod that was killed when its grace period was over (terminationGracePeriodSeconds).");
        return (
            report,
            $"{end}That it was shut down cleanly is not proven, so what others than its writers wrote after that may be lost; only its own WAL can tell.");
    }

    private async Task<(FailoverReport Report, string Text)> MeasureAsync(
        StepContext context, FailoverFacts? facts, FailoverReport report, uint? parent, CancellationToken cancellationToken)
    {
        if (report.SwitchLsn is not { } left || parent is not { } timeline)
        {
            return (report, "What was lost cannot be told: the new primary has no history of its timeline.");
        }

        if (Work.OldDirectory is { } directory)
        {
            try
            {
                if (await LostWal.ReadAsync(directory, null, [timeline], left, null, null, cancellationToken).ConfigureAwait(false) is { } lost)
                {
                    long bytes = Math.Max(0, lost.EndLsn - left);
                    return (
                        report with { LostBytes = bytes, LostTransactions = lost.Commits, FirstLost = lost.FirstCommit, LastLost = lost.LastCommit },
                        lost.Commits == 0
                            ? $"No transaction was lost: the old primary's WAL holds no commit behind that, in {DisplayText.Size(bytes)}."
                            : FormattableString.Invariant($"Lost transactions: {lost.Commits}, ") +
                                $"committed from {DisplayText.Time(lost.FirstCommit)} to {DisplayText.Time(lost.LastCommit)}, in " +
                                    $"{DisplayText.Size(bytes)} of WAL. " +
                                $"They are in '{directory}' still: keep it.");
                }
            }
            catch (Exception e) when (e is SmcException or IOException or UnauthorizedAccessException)
            {
                context.Observer.Warning($"The old primary's WAL in '{directory}' cannot be read: {e.Message}");
            }
        }

        if (facts?.PrimaryLsn is { } known)
        {
            long bytes = Math.Max(0, known - left);
            return (report with { LostBytes = bytes }, facts.IsPrimaryExact
                ? $"Lost: {DisplayText.Size(bytes)} of WAL, and what was written between the first look and its end; which transactions those are, " +
                    "only the old primary's WAL can tell."
                : $"Lost: at least {DisplayText.Size(bytes)} of WAL, by what the old primary last told its standby; which transactions those are, only " +
                    "its own WAL can tell.");
        }

        return (report, "What was lost cannot be told before the old primary's WAL can be read.");
    }
}
