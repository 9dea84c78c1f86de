using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>What a recovery takes from the repository: the base backup to begin with, and the WAL up to the target.</summary>
internal sealed class RecoverySource
{
    private static readonly string[] s_minimumSettings =
        ["max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction"];

    private readonly RecoveryStop _stop;
    private readonly WalArchive _archive;
    private readonly List<WalItem> _items;

    private RecoverySource(BackupReader reader, WalArchive archive, RecoveryStop stop)
    {
        (Reader, _archive, _stop) = (reader, archive, stop);
        _items = [.. stop.Coverage.Items.TakeWhile(i => stop.NeededLsn is null || i.StartLsn < stop.NeededLsn)];
        // One more than is needed: the page behind the last record is looked at before it is applied.
        _items.AddRange(stop.Coverage.Items.Skip(_items.Count).Take(1));
    }

    /// <summary>The base backup.</summary>
    public BackupReader Reader { get; }

    public DatabaseBackupDetails Details => Reader.Header.Database!;

    /// <summary>The bytes of WAL that are brought.</summary>
    public long WalBytes => _items.Sum(static i => (long)i.SegmentSize);

    /// <summary>What an operator should know before.</summary>
    public IEnumerable<string> Warnings
    {
        get
        {
            if (Details.PageChecksumErrors > 0)
            {
                yield return $"The base backup holds {Details.PageChecksumErrors} damaged pages, the first in '{(Details.DamagedPages.Count > 0 ? Details.DamagedPages[0] : "")}'.";
            }

            if (Details.OutsideFiles.Count > 0)
            {
                yield return $"Not in the backup, because they lay outside of the data directory: {string.Join(", ", Details.OutsideFiles)}.";
            }

            if (_stop.Coverage.Gap is { } gap)
            {
                yield return $"The archive is broken at '{gap}', behind the target. Take a new base backup.";
            }
        }
    }

    /// <summary>The part of a plan that is the same wherever the recovery runs.</summary>
    public async Task<RecoveryPlan> CreatePlanAsync(
        RecoveryRequest request, string dataDirectory, Manifest manifest, RecoveryPhase phase, CancellationToken cancellationToken) => new()
    {
        Request = request,
        Backup = Reader.Header,
        StopAt = _stop.StopAt,
        StopReason = _stop.Reason,
        Timeline = _stop.Coverage.EndTimeline,
        EndLsn = _items.Count > 0 ? _items[^1].EndLsn : _stop.Coverage.EndLsn,
        EarliestTime = Details.StopTime,
        LatestTime = _stop.Coverage.LastStopTime,
        RestoreBytes = manifest.Entries.Sum(static e => e.Size),
        WalBytes = WalBytes,
        DataDirectory = dataDirectory,
        Phase = phase,
        Reader = Reader,
        Manifest = manifest,
        Archive = _archive,
        WalItems = _items,
        Histories = _stop.Coverage.Histories,
        TakenTimelines = await TakenTimelinesAsync(_archive, _stop.Coverage.EndTimeline, cancellationToken).ConfigureAwait(false),
        MinimumSettings = s_minimumSettings
            .Where(Details.Settings.ContainsKey)
            .ToDictionary(static n => n, n => int.Parse(Details.Settings[n], CultureInfo.InvariantCulture)),
    };

    /// <summary>Finds the base backup, the one that is named or the newest that does, and makes sure that the target can be reached from it.</summary>
    public static async Task<RecoverySource> ChooseAsync(
        RecoveryRequest request, string? backupId, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (backupId is not null)
        {
            BackupReader reader = await request.Repository.OpenBackupAsync(Component.Database, backupId, cancellationToken).ConfigureAwait(false);
            DatabaseBackupDetails details = reader.Header.Database ?? throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The backup '{backupId}' is no physical base backup, so no WAL can be replayed on it.",
                target: backupId);
            if (request.SystemId is { } wanted && details.SystemId != wanted.ToString(CultureInfo.InvariantCulture))
            {
                throw new SmcException(
                    SmcErrorCode.SystemIdMismatch, $"The backup '{backupId}' is of the cluster {details.SystemId}, not of {wanted}.", target: backupId);
            }

            (WalArchive archive, RecoveryStop stop) = await ResolveAsync(request, reader.Header, cancellationToken).ConfigureAwait(false);
            return new RecoverySource(reader, archive, stop);
        }

        List<BackupHeader> backups = [];
        await foreach (BackupEntry entry in request.Repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Header is { Database: { } details } header &&
                (request.SystemId is null || details.SystemId == request.SystemId.Value.ToString(CultureInfo.InvariantCulture)))
            {
                backups.Add(header);
            }
        }

        if (backups.Count == 0)
        {
            throw new SmcException(
                SmcErrorCode.BackupNotFound,
                $"There is no complete base backup in {request.Repository.Location}.",
                target: request.Repository.Location);
        }

        backups.Sort(static (a, b) => b.Database!.StopTime.CompareTo(a.Database!.StopTime));
        if (request.SystemId is null && HasSeveralClusters(backups))
        {
            backups = OfSite(request, backups);
        }

        if (request.SystemId is null && HasSeveralClusters(backups))
        {
            string chosen = backups[0].Database!.SystemId;
            observer.Warning($"The repository holds several database clusters; the one of the newest backup, {chosen}, is recovered.");
            backups.RemoveAll(b => b.Database!.SystemId != chosen);
        }

        // Newest first. One that was taken after the target, or on a timeline that does not lead to it, is left out.
        SmcException? refusal = null;
        foreach (BackupHeader header in backups)
        {
            try
            {
                (WalArchive archive, RecoveryStop stop) = await ResolveAsync(request, header, cancellationToken).ConfigureAwait(false);
                observer.Verbose($"The base backup {header.Id} is the newest from which {request.Target} can be reached.");
                BackupReader reader = await request.Repository.OpenBackupAsync(Component.Database, header.Id, cancellationToken).ConfigureAwait(false);
                return new RecoverySource(reader, archive, stop);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.TargetOutsideWindow or SmcErrorCode.TimelineMismatch || IsBroken(e))
            {
                observer.Verbose($"The base backup {header.Id} does not do: {e.Message}");
                // The first gap tells more than that older backups have it as well; of the windows the oldest shows the beginning.
                refusal = refusal is not null && IsBroken(refusal) ? refusal : e;
            }
        }

        throw refusal!;
    }

    private static bool HasSeveralClusters(List<BackupHeader> backups) => backups.Select(static b => b.Database!.SystemId).Distinct().Count() > 1;

    /// <summary>
    /// Of the backups in a repository that several sites share, those of the one that is recovered, however old they are; where none says of which site it is,
    /// all.
    /// </summary>
    private static List<BackupHeader> OfSite(RecoveryRequest request, List<BackupHeader> backups)
    {
        List<BackupHeader> own = backups.FindAll(b => b.Site == request.Site && b.Site is not null);
        List<BackupHeader> possible = own.Count > 0 ? own : backups.FindAll(b => b.MayBeOf(request.Site));
        return possible.Count > 0 ? possible : throw new SmcException(
            SmcErrorCode.BackupNotFound,
            $"Several sites share the repository, and none of its base backups is of '{request.Site}': they are of " +
                $"{string.Join(", ", backups.Select(static b => b.Site).Distinct().Order(StringComparer.Ordinal))}.",
            recommendation: "Where another site's database is meant, name one of its backups: -BackupId (--backup).",
            target: request.Repository.Location);
    }

    /// <summary>Whether the WAL behind a backup breaks off: an older backup may still lead to what lies before that.</summary>
    private static bool IsBroken(SmcException error) =>
        error.Code is SmcErrorCode.WalGap or SmcErrorCode.KeyMissing || SmcErrors.IsDamage(error.Code);

    private static async Task<(WalArchive Archive, RecoveryStop Stop)> ResolveAsync(
        RecoveryRequest request, BackupHeader header, CancellationToken cancellationToken)
    {
        WalArchive archive = new(request.Repository, ulong.Parse(header.Database!.SystemId, CultureInfo.InvariantCulture));
        return (archive, await new TargetResolver(archive, header, request.Target).ResolveAsync(cancellationToken).ConfigureAwait(false));
    }

    private static async Task<IReadOnlyList<uint>> TakenTimelinesAsync(
        WalArchive archive, uint timeline, CancellationToken cancellationToken)
    {
        uint newest = timeline;
        await foreach (string folder in archive.Repository
            .ListFoldersAsync(RepositoryKeys.Wal(archive.SystemId), cancellationToken).ConfigureAwait(false))
        {
            if (uint.TryParse(folder, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint number))
            {
                newest = Math.Max(newest, number);
            }
        }

        return [.. Enumerable.Range(0, (int)(newest - timeline)).Select(i => timeline + 1 + (uint)i)];
    }
}
