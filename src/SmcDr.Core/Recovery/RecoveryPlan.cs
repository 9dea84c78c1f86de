using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>What a recovery will do. Making it changes nothing.</summary>
public sealed record RecoveryPlan
{
    /// <summary>What was asked for.</summary>
    public required RecoveryRequest Request { get; init; }

    /// <summary>The base backup with which it begins.</summary>
    public required BackupHeader Backup { get; init; }

    /// <summary>The target as it was asked for.</summary>
    public RecoveryTarget Target => Request.Target;

    /// <summary>What PostgreSQL is told to stop at; null = it replays all that there is.</summary>
    public required RecoveryTarget? StopAt { get; init; }

    /// <summary>Why it stops there.</summary>
    public required string StopReason { get; init; }

    /// <summary>The timeline that is followed.</summary>
    public required uint Timeline { get; init; }

    /// <summary>Up to where WAL is brought.</summary>
    public required Lsn EndLsn { get; init; }

    /// <summary>The earliest instant that the base backup allows: its end.</summary>
    public required DateTimeOffset EarliestTime { get; init; }

    /// <summary>The latest instant that the archive allows; none where it holds no transaction's end behind the base backup.</summary>
    public required DateTimeOffset? LatestTime { get; init; }

    /// <summary>The bytes of the base backup that are restored.</summary>
    public required long RestoreBytes { get; init; }

    /// <summary>The bytes of WAL that are brought.</summary>
    public required long WalBytes { get; init; }

    /// <summary>How many files of WAL are brought.</summary>
    public int WalSegments => WalItems.Count;

    /// <summary>The absolute data directory.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>The folder beside it that is worked in.</summary>
    public string StateDirectory => RecoveryState.PathFor(DataDirectory);

    /// <summary>Where tablespaces go.</summary>
    public IReadOnlyList<RecoveryTablespace> Tablespaces { get; init; } = [];

    /// <summary>What is in the way and would be moved aside.</summary>
    public IReadOnlyList<RecoveryMove> Moves { get; init; } = [];

    /// <summary>The room that is needed, by file system.</summary>
    public IReadOnlyList<RecoverySpace> Space { get; init; } = [];

    /// <summary>The programs of this host that it is run with; null where it runs in a pod.</summary>
    public PostgresPrograms? Programs { get; init; }

    /// <summary>The account of this host that the server runs as; null on Windows, and where it runs in a pod.</summary>
    public OsAccount? Account { get; init; }

    /// <summary>How far an interrupted run of the same recovery came.</summary>
    public required RecoveryPhase Phase { get; init; }

    /// <summary>Whether the same recovery was finished by an earlier run, so that there is nothing to do.</summary>
    public bool IsDone => Phase == RecoveryPhase.Done;

    /// <summary>Whether something that is there now is not in its place afterwards.</summary>
    public bool IsDestructive => Moves.Count > 0 || (Request.Delta && !IsDone && !Postgres.BaseBackups.DeltaTarget.IsEmpty(DataDirectory));

    /// <summary>What an operator should know before.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    internal BackupReader Reader { get; init; } = null!;

    internal Manifest Manifest { get; init; } = null!;

    internal WalArchive Archive { get; init; } = null!;

    internal IReadOnlyList<WalItem> WalItems { get; init; } = null!;

    internal IReadOnlyList<TimelineHistory> Histories { get; init; } = null!;

    /// <summary>Timelines in the archive that are newer than the one followed: the recovered server must not take their numbers.</summary>
    internal IReadOnlyList<uint> TakenTimelines { get; init; } = null!;

    /// <summary>Settings that must not be lower than on the primary, with the values that suffice.</summary>
    internal IReadOnlyDictionary<string, int> MinimumSettings { get; init; } = null!;

    /// <summary>What the journal that was found says.</summary>
    internal RecoveryProgress? Journal { get; init; }

    /// <summary>Whether an interrupted recovery to something else is abandoned.</summary>
    internal bool Abandon { get; init; }

    /// <summary>The plan in lines, for an operator to read before saying yes.</summary>
    public IEnumerable<string> Describe()
    {
        if (IsDone)
        {
            yield return $"This recovery to {Target} is done already; with -Force it is done anew.";
            yield break;
        }

        if (Request.Writers is { } writers)
        {
            yield return $"Stop the writers: {string.Join(", ", writers.Names)}.";
        }

        foreach (string line in DescribeRecovery(DataDirectory))
        {
            yield return line;
        }

        if (Request.Isolation is { } isolation)
        {
            yield return "Isolate the cluster for good: no archiving, no primary, no subscriptions, no jobs, " +
                (isolation.ListenLocally ? $"reached at 127.0.0.1 port {isolation.Port} and by its own account only." : "reached by its own account only, through a socket in its directory.");
        }

        yield return !Request.KeepRunning ? "Leave the server stopped."
            : Request.Isolation is null ? "Start the server with the cluster's own settings."
            : "Start the server.";
        if (Request.Writers is not null)
        {
            yield return Request.KeepRunning ? "Start the writers." : "Leave the writers stopped.";
        }

        foreach (string warning in Warnings)
        {
            yield return $"Note: {warning}";
        }
    }

    /// <summary>The lines of the recovery itself, without what is stopped before and started after it.</summary>
    /// <param name="dataDirectory">How the data directory is called.</param>
    internal IEnumerable<string> DescribeRecovery(string dataDirectory)
    {
        if (Phase != RecoveryPhase.None)
        {
            yield return $"Continue the recovery that was interrupted after the phase '{Phase}'.";
        }
        else if (Abandon)
        {
            yield return $"Abandon the interrupted recovery in '{StateDirectory}'.";
        }

        yield return Request.Delta
            ? $"Make '{DataDirectory}' like the base backup {Backup.Id}, taken until {Time(EarliestTime)}, in place: of {Bytes(RestoreBytes)} in " +
                $"{Backup.FileCount} files what is right is kept. All else there, its WAL too, is overwritten or removed, and no copy of it stays."
            : $"Restore the base backup {Backup.Id}, taken until {Time(EarliestTime)}: {Bytes(RestoreBytes)} in {Backup.FileCount} files.";
        foreach (RecoveryTablespace tablespace in Tablespaces)
        {
            yield return $"Restore the tablespace '{tablespace.Name}' to '{tablespace.Location}'.";
        }

        if (Request.Standby is null)
        {
            yield return $"Bring {WalSegments} WAL segments on timeline {Timeline}, up to {EndLsn}: {Bytes(WalBytes)}.";
        }

        foreach (RecoverySpace space in Space)
        {
            yield return $"Write {Bytes(space.RequiredBytes)} at '{space.Path}', where {Bytes(space.AvailableBytes)} are free.";
        }

        foreach (RecoveryMove move in Moves)
        {
            yield return $"Move '{move.Path}' aside to '{move.Destination}'.";
        }

        if (!Request.Delta)
        {
            yield return $"Put the restored directory at '{dataDirectory}'.";
        }

        if (Request.Standby is not null)
        {
            yield break;
        }

        yield return $"Replay to {Target}: {StopReason}";
        yield return "Promote to a new timeline, check every database with nobody connected, and take the recovery settings out.";
    }

    internal static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture) + " UTC";

    internal static string Bytes(long bytes)
    {
        string[] units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        for (; value >= 1024 && unit < units.Length - 1; unit++)
        {
            value /= 1024;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {units[unit]}");
    }
}
