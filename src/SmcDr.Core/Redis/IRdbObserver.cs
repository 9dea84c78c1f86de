using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis;

/// <summary>Sees an RDB on its way into the repository.</summary>
internal interface IRdbObserver : IAsyncDisposable
{
    /// <summary>Takes the next bytes. They are valid during the call only; the backup goes on when it is over.</summary>
    ValueTask ObserveAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Is told that all has passed and that the checksum, where there is one, is right; throws where the RDB cannot be relied on nevertheless.</summary>
    ValueTask CompleteAsync(RdbIntegrity integrity, CancellationToken cancellationToken);

    /// <summary>Adds what it has seen to what the backup says of itself.</summary>
    RedisBackupDetails Describe(RedisBackupDetails details);
}
