using SmcDr.Core.Operations;

namespace SmcDr.Core.Repositories;

/// <summary>A backup as a listing finds it.</summary>
/// <param name="Component">The component.</param>
/// <param name="Id">The id.</param>
/// <param name="Header">The header of a complete one; null for one without a marker.</param>
/// <param name="Start">The claim of an incomplete one, where it can be read.</param>
/// <param name="Problem">Why a marker that is there cannot be believed.</param>
public sealed record BackupEntry(
    Component Component, string Id, BackupHeader? Header, BackupStart? Start, SmcException? Problem)
{
    /// <summary>Whether its objects are encrypted, as all of its repository are.</summary>
    public bool IsEncrypted { get; init; }

    /// <summary>Whether it can be restored.</summary>
    public bool IsComplete => Header is not null;

    /// <summary>Warns of a backup that a newer version has written: it is not damaged, only not readable here.</summary>
    public void Warn(IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(observer);
        if (Problem is { Code: SmcErrorCode.RepositoryFormatUnknown } problem)
        {
            observer.Warning($"{problem.Message} {problem.Recommendation}");
        }
    }

    /// <summary>The view that users see.</summary>
    public BackupInfo ToInfo(string repository)
    {
        DatabaseBackupDetails? database = Header?.Database;
        RedisBackupDetails? redis = Header?.Redis;
        ConfigurationBackupDetails? configuration = Header?.Configuration;
        return new BackupInfo
        {
            Id = Id,
            Component = Component.ToString(),
            Name = Header?.FileStore?.Name,
            // The one empty list where there are none: two views of one backup are equal.
            Databases = Header?.Logical is { } logical ? [.. logical.Databases.Select(static database => database.Name)] : [],
            Namespaces = configuration is null ? [] : [.. configuration.Namespaces],
            HelmReleases = configuration is null ? [] : [.. configuration.HelmReleases],
            Missing = configuration is null ? [] : [.. configuration.Missing.Select(static gap => $"{gap.What}: {gap.Reason}")],
            Kind = Header?.Kind ?? Start?.Kind ?? "Unknown",
            State = IsComplete
                ? (Header!.IsPartial ? "Partial" : "Complete")
                : Problem is null ? "Incomplete"
                : Repository.IsForeign(Problem) ? "Unreadable" : "Damaged",
            StartTime = Header?.StartTime ?? Start?.StartTime ?? default,
            StopTime = Header?.StopTime,
            Duration = Header is { CompletedTime: { } completed } ? completed - Header.StartTime : null,
            Parent = Header?.Parent ?? Start?.Parent,
            SizeBytes = Header?.SizeBytes,
            UnchangedFileCount = database?.UnchangedFiles ?? Header?.FileStore?.UnchangedFiles,
            ComparedBytes = database?.ComparedBytes,
            SentBytes = database?.ReceivedBytes,
            StoredBytes = Header?.StoredBytes,
            FileCount = Header?.FileCount,
            SystemId = database?.SystemId ?? Header?.Logical?.SystemId ?? Start?.SystemId,
            ServerVersion = database?.ServerVersion ?? Header?.Logical?.ServerVersion ?? redis?.ServerVersion ?? configuration?.ServerVersion,
            Timeline = (int?)database?.Timeline,
            StartLsn = database?.StartLsn.ToString(),
            StopLsn = database?.StopLsn.ToString(),
            PageChecksumErrors = database?.PageChecksumErrors,
            Source = redis?.Source ?? configuration?.Cluster,
            KeyCount = redis?.Content?.Keys,
            ExpiringKeyCount = redis?.Content?.Expires,
            SkewBackupId = redis?.DatabaseSkew?.BackupId,
            SkewSeconds = redis?.DatabaseSkew?.Seconds,
            Encrypted = IsEncrypted,
            Label = Header?.Label ?? Start?.Label,
            Repository = repository,
        };
    }
}
