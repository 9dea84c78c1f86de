using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Regions.Failover;

namespace SmcDr.Core.Regions.Failback;

/// <summary>
/// Keeps what is overwritten next: the former primary's own WAL, its settings, a list of what it committed and nobody else has, and the rows of that.
/// </summary>
/// <remarks>
/// It comes before the crash recovery that a rewind begins with, since the checkpoint at its end removes old segments and uses them again, which is the most
/// frequent reason for which pg_rewind fails ("could not find previous WAL record"): it finds them here.
/// </remarks>
internal sealed class KeepLostStep(FailbackWork work, params string[] after)
    : FailbackStep(work, StepKey, "Keep what was lost", work.Former.Name, after)
{
    public const string StepKey = "keep-lost";
    public const string WalFolder = "wal";

    public override string Describe() =>
        $"Lists what '{Work.Former.Name}' committed and '{Work.Leader.Name}' never saw, exports those rows out of it, and copies its WAL and settings " +
            "aside, before anything is overwritten.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) =>
        await Work.LookAsync(cancellationToken).ConfigureAwait(false) is (_, Follows: true)
            ? StepCheck.AlreadyDone("It follows: nothing of it is overwritten.")
            : StepCheck.Needed;

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        HostServer server = await Work.OpenServerAsync(cancellationToken).ConfigureAwait(false);
        if (FormerInstance.IsLeftOver(server.DataDirectory))
        {
            await FormerInstance.StopAsync(server).ConfigureAwait(false);
        }

        if (server.FindRunning() is { } running)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                $"The server in '{server.DataDirectory}' was started again by somebody (process {running.ProcessId}).",
                recommendation: "Stop what starts it, such as a unit of systemd, and the server.",
                target: server.DataDirectory);
        }

        FailbackFacts facts = context.GetOutput(AssessFailbackStep.StepKey, RegionFailbackJson.Default.FailbackFacts)!;
        // An earlier attempt may have kept a part; it is done anew, in the same place.
        KeptLoss kept = context.GetSaved(RegionFailbackJson.Default.KeptLoss) ?? new KeptLoss(Work.NewKeptDirectory(), null, null);
        await SaveAsync(context, kept, cancellationToken).ConfigureAwait(false);
        server.CreateOwnedDirectory(kept.Directory);
        if (facts.Left is not { } left)
        {
            KeptConfiguration.Keep(server, kept.Directory);
            Posix.SyncDirectory(kept.Directory);
            await SaveAsync(context, kept with { Transactions = 0 }, cancellationToken).ConfigureAwait(false);
            return "Nothing was lost: it is on the same timeline.";
        }

        try
        {
            // Once, before the server is started to be read: what that removes of its WAL, nobody would find again.
            if (kept.WalDetail is null)
            {
                KeptConfiguration.Keep(server, kept.Directory);
                (kept, string detail) = await KeepAsync(context, server, facts, left, kept, cancellationToken).ConfigureAwait(false);
                kept = kept with { WalDetail = detail };
                Posix.SyncDirectory(kept.Directory);
                await SaveAsync(context, kept, cancellationToken).ConfigureAwait(false);
            }

            (kept, string rows) = kept.Transactions is 0 ? (kept, "")
                : await ExportAsync(context, server, facts, left, kept, cancellationToken).ConfigureAwait(false);
            await SaveAsync(context, kept, cancellationToken).ConfigureAwait(false);
            return kept.WalDetail + rows;
        }
        finally
        {
            context.Observer.Progress(new OperationProgress(Title, "") { IsCompleted = true });
        }
    }

    private static Task SaveAsync(StepContext context, KeptLoss kept, CancellationToken cancellationToken) =>
        context.SaveAsync(kept, RegionFailbackJson.Default.KeptLoss, cancellationToken);

    /// <summary>Exports the rows, out of the former primary itself: the last moment in which they are anywhere.</summary>
    private async Task<(KeptLoss Kept, string Detail)> ExportAsync(
        StepContext context, HostServer server, FailbackFacts facts, Lsn left, KeptLoss kept, CancellationToken cancellationToken)
    {
        ControlFile control = await ControlFile.ReadAsync(server.DataDirectory, cancellationToken).ConfigureAwait(false);
        string? problem;
        LostRows? rows = null;
        if (kept.EndLsn is null)
        {
            problem = "Which rows are lost cannot be told without its WAL.";
        }
        else if (FormerInstance.FindProblem(server.DataDirectory, control) is { } unfit)
        {
            // What it has beyond the fork came from another server, which is the former primary.
            context.Observer.Warning($"No rows are exported: {unfit}");
            return (kept, $" No rows are exported: {unfit}");
        }
        else
        {
            rows = await LostRows.FindAsync(
                server.DataDirectory, Path.Combine(kept.Directory, WalFolder), facts.Lineage, left, null, cancellationToken).ConfigureAwait(false);
            problem = rows.IsEmpty ? null : await TryExportAsync(context, server, rows, kept, cancellationToken).ConfigureAwait(false);
        }

        if (problem is not null && !Intent.Force)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"Rows that '{Work.Former.Name}' alone has could not be exported: {problem}",
                recommendation: $"Correct that, or copy '{server.DataDirectory}' elsewhere if they may be needed. To go on without them, add -Force and " +
                    "-AbandonUnfinished (--force, --abandon-unfinished).",
                target: Work.Former.Name);
        }

        if (problem is not null)
        {
            context.Observer.Warning($"Rows that '{Work.Former.Name}' alone has are not exported: {problem}");
        }

        string detail = rows is null or { IsEmpty: true } ? ""
            : string.Create(
                CultureInfo.InvariantCulture,
                $" Rows that they inserted or updated: {rows.Count}, of {rows.Files} tables, in '{Path.Combine(kept.Directory, LostRows.FolderName)}'; deleted rows, " +
                    $"which are in no file: {rows.Deleted}. '{LostRows.ListName}' beside it lists the tables.");
        return (kept with { Rows = rows?.Count }, $"{detail}{(problem is null ? "" : " " + problem)}");
    }

    /// <returns>Why rows are missing; null where none are.</returns>
    private async Task<string?> TryExportAsync(
        StepContext context, HostServer server, LostRows rows, KeptLoss kept, CancellationToken cancellationToken)
    {
        try
        {
            context.Observer.Progress(new OperationProgress(Title, "start it, isolated"));
            FormerInstance instance = await FormerInstance.StartAsync(
                server, kept.Directory, Work.Switch.NewDatabase.Username, context.Observer, cancellationToken).ConfigureAwait(false);
            await using (instance.ConfigureAwait(false))
            {
                await rows.ExportAsync(instance, server, kept.Directory, context.Observer, cancellationToken).ConfigureAwait(false);
            }

            return rows.Problems.Count == 0 ? null : string.Join(' ', rows.Problems);
        }
        catch (SmcException e)
        {
            return e.Message;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NpgsqlException)
        {
            return e.Message;
        }
    }

    private async Task<(KeptLoss Kept, string Detail)> KeepAsync(
        StepContext context, HostServer server, FailbackFacts facts, Lsn left, KeptLoss kept, CancellationToken cancellationToken)
    {
        ControlFile control = await ControlFile.ReadAsync(server.DataDirectory, cancellationToken).ConfigureAwait(false);
        string list = Path.Combine(kept.Directory, LostTransactionList.FileName);
        (LostWal Wal, long Lines)? read = await LostTransactionList.WriteAsync(
            list, server.DataDirectory, facts.Lineage, left, Work.Switch.OldDatabase, control.SystemId, context.Observer, cancellationToken)
            .ConfigureAwait(false);
        server.GiveToAccount(list);
        string? gap = read is not { } whole
            ? $"The WAL of '{Work.Former.Name}' from {left} on is not in '{server.DataDirectory}' any more, so what it committed cannot be listed."
            : control.CheckpointLsn >= whole.Wal.EndLsn && control.CheckpointLsn > left
                ? $"The WAL of '{Work.Former.Name}' can be read up to {whole.Wal.EndLsn} only, and its last checkpoint is at {control.CheckpointLsn}: what " +
                    "it committed in between cannot be listed."
                : null;
        if (gap is not null && !Intent.Force)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                gap,
                recommendation: "Copy the data directory elsewhere if it may be needed. To go on without that list, add -Force and -AbandonUnfinished " +
                    "(--force, --abandon-unfinished).",
                target: Work.Former.Name);
        }

        if (gap is not null)
        {
            context.Observer.Warning(gap);
        }

        if (read?.Wal.Unread is > 0 and var unread)
        {
            context.Observer.Warning(
                string.Create(CultureInfo.InvariantCulture, $"{unread} records of its WAL could not be taken apart: their rows are missing from the list."));
        }

        CopyWal(context, server, facts, read?.Wal.EndLsn, control.WalSegmentSize, kept.Directory, cancellationToken);
        kept = kept with { EndLsn = read?.Wal.EndLsn, Transactions = read?.Lines };
        if (read is not { } known)
        {
            return (kept, $"{gap} What there is of its WAL is kept in '{kept.Directory}'.");
        }

        return (kept, (known.Lines == 0
            ? $"No transaction was lost: its WAL holds no commit behind {left}."
            : string.Create(CultureInfo.InvariantCulture, $"Lost transactions: {known.Lines}, committed from ") +
                $"{DisplayText.Time(known.Wal.FirstCommit)} to {DisplayText.Time(known.Wal.LastCommit)}; '{list}' lists them with their tables and numbers " +
                "of rows.") + $" Its WAL is kept in '{kept.Directory}'.{(gap is null ? "" : " " + gap)}");
    }

    private void CopyWal(
        StepContext context, HostServer server, FailbackFacts facts, Lsn? end, int segmentSize, string directory, CancellationToken cancellationToken)
    {
        string target = Path.Combine(directory, WalFolder);
        server.CreateOwnedDirectory(target);
        // Segments behind the end are old ones that wait to be used again.
        FileInfo[] files =
        [
            .. new DirectoryInfo(Path.Combine(server.DataDirectory, BackupFileRules.Wal)).EnumerateFiles().Where(file =>
                WalSegmentName.TryParse(file.Name, out WalSegmentName name)
                    ? facts.Lineage.Contains(name.Timeline) && (end is null || name.StartLsn(segmentSize) < end)
                    : file.Name.EndsWith(".history", StringComparison.Ordinal)).OrderBy(static file => file.Name, StringComparer.Ordinal),
        ];
        long total = files.Sum(static file => file.Length);
        if (FileSystems.Available(target) is var room && room < total + (total / 20))
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"The WAL of '{Work.Former.Name}' takes {DisplayText.Size(total)}, and beside '{server.DataDirectory}' there are {DisplayText.Size(room)} " +
                    "left to keep it.",
                target: directory);
        }

        long done = 0;
        foreach (FileInfo file in files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            context.Observer.Progress(new OperationProgress(Title, file.Name, done, total));
            string copy = Path.Combine(target, file.Name);
            // A copy, not a link: crash recovery and pg_rewind write into files that are there.
            File.Copy(file.FullName, copy, overwrite: true);
            using (FileStream written = new(copy, FileMode.Open, FileAccess.ReadWrite))
            {
                written.Flush(flushToDisk: true);
            }

            server.GiveToAccount(copy);
            done += file.Length;
        }

        Posix.SyncDirectory(target);
    }
}
