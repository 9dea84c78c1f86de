using System.Text.Json.Serialization;

namespace SmcDr.Core.Repositories;

/// <summary>What a manifest and its completion marker say of a backup as a whole.</summary>
public sealed record BackupHeader
{
    /// <summary>How far the clocks of two hosts may be apart.</summary>
    internal static readonly TimeSpan ClockMargin = TimeSpan.FromHours(1);

    /// <summary>The format of the manifest; see docs/repository-format.md.</summary>
    public int Format { get; init; } = Repository.FormatVersion;

    public required string Id { get; init; }

    /// <summary>The id of the repository, so that an object that strayed in from another one is noticed.</summary>
    public required Guid RepositoryId { get; init; }

    public required Component Component { get; init; }

    /// <summary><c>Full</c>, <c>Incremental</c>, <c>Logical</c> or <c>Emergency</c>.</summary>
    public required string Kind { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    /// <summary>When the backup was consistent, by the clock of what was backed up.</summary>
    public DateTimeOffset? StopTime { get; init; }

    /// <summary>When the last object before the marker was durable, by this machine's clock.</summary>
    public DateTimeOffset? CompletedTime { get; init; }

    public string? Label { get; init; }

    public string? Site { get; init; }

    /// <summary>The backup that this one was compared with. For people: nothing is looked up through it.</summary>
    public string? Parent { get; init; }

    /// <summary>
    /// The packs of earlier backups that the manifest refers to, so that what may be removed is known from markers alone. Null only where a
    /// version of SmcDr wrote the backup that did not fill it: then the manifest must be asked.
    /// </summary>
    public IReadOnlyList<PackUse>? Uses { get; init; }

    /// <summary>The version of SmcDr that wrote it.</summary>
    public string? Tool { get; init; }

    /// <summary>What was backed up, in bytes.</summary>
    public long SizeBytes { get; init; }

    /// <summary>What this backup added to the repository, in bytes, without manifest and markers.</summary>
    public long StoredBytes { get; init; }

    public long FileCount { get; init; }

    /// <summary>Set for physical backups of the component <see cref="Component.Database"/>.</summary>
    public DatabaseBackupDetails? Database { get; init; }

    /// <summary>Set for logical backups of the component <see cref="Component.Database"/>.</summary>
    public LogicalBackupDetails? Logical { get; init; }

    /// <summary>Set for the component <see cref="Component.FileStore"/>.</summary>
    public FileStoreBackupDetails? FileStore { get; init; }

    /// <summary>Set for the component <see cref="Component.Redis"/>.</summary>
    public RedisBackupDetails? Redis { get; init; }

    /// <summary>Set for the component <see cref="Component.Configuration"/>.</summary>
    public ConfigurationBackupDetails? Configuration { get; init; }

    /// <summary>
    /// From when on nothing that was changed is in it. What was changed since <see cref="StartTime"/> may be: files and objects are read one after another.
    /// </summary>
    [JsonIgnore]
    internal DateTimeOffset EndTime => StopTime ?? CompletedTime ?? StartTime;

    /// <summary>Whether something that belongs to it could not be read when it was taken.</summary>
    [JsonIgnore]
    public bool IsPartial => FileStore is { UnreadableCount: > 0 } || Logical is { IsPartial: true } || Configuration is { Missing.Count: > 0 };

    /// <summary>
    /// Whether it began in the future, by more than clocks that are set by a time service differ: taken while a clock was wrong, it would pass for new long
    /// after the last backup.
    /// </summary>
    /// <param name="now">The present time.</param>
    internal bool IsAhead(DateTimeOffset now) => StartTime > now + ClockMargin;

    /// <summary>Whether it may be one of a site: it says so, or says of none.</summary>
    /// <param name="site">The site; null = any.</param>
    internal bool MayBeOf(string? site) => Site is null || site is null || Site == site;
}
