namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What a restore of a base backup's files did.</summary>
/// <param name="DataDirectory">The data directory.</param>
/// <param name="FileCount">The files in it and in its tablespaces.</param>
/// <param name="SizeBytes">Their size.</param>
/// <param name="KeptFileCount">The files that lay there already, of an earlier run or before a delta restore, and were found right.</param>
/// <param name="KeptBytes">The bytes that were found right, in other files too.</param>
/// <param name="FetchedBytes">The bytes that were not, and were written.</param>
/// <param name="RemovedFileCount">The files that a delta restore removed, because the backup does not hold them.</param>
/// <param name="Duration">How long it took.</param>
public sealed record BaseRestoreResult(
    string DataDirectory, long FileCount, long SizeBytes, long KeptFileCount, long KeptBytes, long FetchedBytes, long RemovedFileCount,
    TimeSpan Duration);
