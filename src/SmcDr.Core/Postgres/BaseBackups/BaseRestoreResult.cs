namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What a restore of a base backup's files did.</summary>
/// <param name="DataDirectory">The data directory.</param>
/// <param name="FileCount">The files in it and in its tablespaces.</param>
/// <param name="SizeBytes">Their size.</param>
/// <param name="KeptFileCount">The files that an earlier, interrupted run had written already and that were found right.</param>
/// <param name="KeptBytes">Their size.</param>
/// <param name="Duration">How long it took.</param>
public sealed record BaseRestoreResult(
    string DataDirectory, long FileCount, long SizeBytes, long KeptFileCount, long KeptBytes, TimeSpan Duration);
