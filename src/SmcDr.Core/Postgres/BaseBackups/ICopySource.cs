namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>How one worker comes by the files that it copies.</summary>
internal interface ICopySource : IFileSource, IAsyncDisposable
{
    /// <summary>The bytes of files that were taken through it.</summary>
    long ReceivedBytes { get; }

    /// <summary>
    /// Reads several files from their beginning, one behind the other into <paramref name="buffer"/>. Those that are as their hashes know them
    /// are left out.
    /// </summary>
    /// <param name="paths">The files.</param>
    /// <param name="lengths">The most to read of each.</param>
    /// <param name="hashes">The known SHA-256 of each; empty for one that is not known.</param>
    /// <param name="buffer">Is enlarged as needed.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>For each file whether it differs, and where it lies in the buffer, which is null for one that is gone.</returns>
    ValueTask<(bool Differs, Range? Place)[]> ReadManyAsync(
        string[] paths, long[] lengths, byte[][] hashes, GrowingBuffer buffer, CancellationToken cancellationToken);

    /// <summary>
    /// Compares ranges of files, and reads into <paramref name="buffer"/> what differs. What is compared and what is taken are the same reading.
    /// Where three quarters of a range's pages differ, it comes as a whole.
    /// </summary>
    /// <param name="ranges">What to compare; the answers stand in them afterwards.</param>
    /// <param name="pageSize">The size of a page.</param>
    /// <param name="buffer">Is enlarged as needed.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    ValueTask CompareAsync(IReadOnlyList<PageRange> ranges, int pageSize, GrowingBuffer buffer, CancellationToken cancellationToken);
}
