namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Where the bytes of a data directory come from.</summary>
internal interface IFileSource
{
    /// <summary>
    /// Reads a part of a file. Returns how many bytes there were, which is less than asked for at the file's end, or null where
    /// the file is gone.
    /// </summary>
    ValueTask<int?> ReadAsync(string path, long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>The end of the WAL at this moment.</summary>
    ValueTask<Lsn> GetWalEndAsync(CancellationToken cancellationToken);
}
