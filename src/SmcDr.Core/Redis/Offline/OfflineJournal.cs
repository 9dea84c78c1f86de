using System.Globalization;

namespace SmcDr.Core.Redis.Offline;

/// <summary>What is known of an offline restore that is under way: enough for another run to finish it, or to take it back.</summary>
internal sealed record OfflineJournal
{
    public required OfflinePhase Phase { get; init; }

    public required Guid RepositoryId { get; init; }

    public required string BackupId { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    public required OfflineLayout Layout { get; init; }

    public required OfflineStart Start { get; init; }

    /// <summary>Whether the server ran, and is to run again.</summary>
    public required bool WasRunning { get; init; }

    /// <summary>What names get that are set aside, behind what they are called.</summary>
    public required string AsideSuffix { get; init; }

    /// <summary>With <see cref="OfflinePhase.Stopped"/>: the names that are set aside.</summary>
    public IReadOnlyList<string> Aside { get; init; } = [];

    /// <summary>With <see cref="OfflinePhase.Fetched"/>: the RDB's file, by which it is known again under its later name.</summary>
    public ulong? Inode { get; init; }

    /// <summary>With <see cref="OfflinePhase.Fetched"/>: how long that file is.</summary>
    public long? Size { get; init; }

    /// <summary>With <see cref="OfflinePhase.Fetched"/>: when it was written, in seconds. The number of a file that was replaced is given to another.</summary>
    public string? Modified { get; init; }

    /// <summary>With <see cref="OfflinePhase.Placed"/>: the host's clock in hundredths of a second. What was started before has loaded something else.</summary>
    public long? PlacedTicks { get; init; }

    /// <summary>With <see cref="OfflinePhase.Placed"/>: the start of the host that this clock counts from.</summary>
    public string? PlacedBoot { get; init; }

    /// <summary>What the server had is being put back: whatever the phase says, that comes first.</summary>
    public bool IsGoingBack { get; init; }

    /// <summary>Throws where what was interrupted is the restore of another backup.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RestoreUnfinished"/>.</exception>
    public void ThrowUnlessOf(Guid repositoryId, string backupId)
    {
        if (RepositoryId != repositoryId || BackupId != backupId)
        {
            throw Unfinished("Another backup cannot be restored on top of it.");
        }
    }

    /// <summary>The error for a restore that was interrupted, and stands in the way of something else.</summary>
    /// <param name="consequence">What it stands in the way of, as a sentence.</param>
    public SmcException Unfinished(string consequence) => new(
        SmcErrorCode.RestoreUnfinished,
        string.Create(
            CultureInfo.InvariantCulture,
            $"A restore of the backup '{BackupId}' to '{Layout.DataDirectory}', begun at {StartTime:yyyy-MM-dd HH:mm:ss}Z, was interrupted (phase {Phase}). {consequence}"),
        recommendation: $"Run the restore of the backup '{BackupId}' again, which continues it.",
        target: Layout.DataDirectory);
}
