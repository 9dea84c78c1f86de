using System.Text.Json.Serialization;

namespace SmcDr.Core.Systems.Restore;

/// <summary>What was decided when a restore of a system was begun: from it alone, and the site file, its steps are built.</summary>
internal sealed record SystemRestoreIntent
{
    /// <summary>When it was decided, in UTC: from here on the time to recover counts.</summary>
    public required DateTimeOffset DecidedTime { get; init; }

    /// <summary>The instant that was asked for; null = as late as can be.</summary>
    public DateTimeOffset? TargetTime { get; init; }

    /// <summary>The components that were asked for; empty = all.</summary>
    public IReadOnlyList<Component> Asked { get; init; } = [];

    /// <summary>The workloads that are stopped before anything is restored and started behind it, in the site's order.</summary>
    public IReadOnlyList<string> Writers { get; init; } = [];

    public ChosenBackup? Configuration { get; init; }

    public ChosenDatabase? Database { get; init; }

    public ChosenRedis? Redis { get; init; }

    public IReadOnlyList<ChosenBackup> FileStores { get; init; } = [];

    /// <summary>All backups that are restored.</summary>
    public IEnumerable<(Component Component, string Id)> Backups() =>
    [
        .. Configuration is { } configuration ? [(Component.Configuration, configuration.Id)] : Array.Empty<(Component, string)>(),
        .. Database is { } database ? [(Component.Database, database.BackupId)] : Array.Empty<(Component, string)>(),
        .. Redis is { } redis ? [(Component.Redis, redis.Backup.Id)] : Array.Empty<(Component, string)>(),
        .. FileStores.Select(static store => (Component.FileStore, store.Id)),
    ];
}

/// <summary>A backup that is restored.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Subject">The file store's name; null for another component.</param>
/// <param name="Time">What is later than this is lost, in UTC.</param>
/// <param name="SizeBytes">What is restored, in bytes.</param>
internal sealed record ChosenBackup(string Id, string? Subject, DateTimeOffset Time, long SizeBytes);

/// <summary>Up to where the database is recovered, and from what.</summary>
/// <param name="BackupId">The base backup.</param>
/// <param name="SystemId">The cluster.</param>
/// <param name="Timeline">The timeline, so that one that the recovered server begins is not followed by who resumes.</param>
/// <param name="EndLsn">Up to where there was WAL when it was decided.</param>
/// <param name="SizeBytes">Files and WAL, in bytes.</param>
/// <param name="LossSeconds">The age of the oldest change that is lost.</param>
/// <param name="LossIsBound">Whether it may be less, because the server could not be asked.</param>
internal sealed record ChosenDatabase(
    string BackupId, string SystemId, uint Timeline, string EndLsn, long SizeBytes, double LossSeconds, bool LossIsBound);

/// <summary>The backup of Redis, and how it is restored.</summary>
/// <param name="Backup">The backup.</param>
/// <param name="Method">How.</param>
internal sealed record ChosenRedis(ChosenBackup Backup, RedisRestoreMethod Method);

/// <summary>What a step keeps of its work: for who goes on with it, and for the measurement at the end.</summary>
/// <param name="StartTime">When it was begun first, in UTC.</param>
/// <param name="EndTime">When it was back, in UTC; null while it is not.</param>
/// <param name="RecoveredTime">The last change that is back, where that is known, in UTC.</param>
internal sealed record PartRecord(DateTimeOffset StartTime, DateTimeOffset? EndTime, DateTimeOffset? RecoveredTime);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(SystemRestoreIntent))]
[JsonSerializable(typeof(PartRecord))]
internal sealed partial class SystemRestoreJson : JsonSerializerContext;
