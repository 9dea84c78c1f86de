namespace SmcDr.Core.Recovery;

/// <summary>What became of the files of the base backup.</summary>
/// <param name="KeptBytes">What lay there already and was right.</param>
/// <param name="FetchedBytes">What was written.</param>
/// <param name="RemovedFileCount">The files that were removed.</param>
internal sealed record RecoveryFiles(long KeptBytes, long FetchedBytes, long RemovedFileCount);
