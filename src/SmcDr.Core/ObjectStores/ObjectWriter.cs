namespace SmcDr.Core.ObjectStores;

/// <summary>
/// An object being written. Disposing it without <see cref="CommitAsync"/> removes every trace: the temporary file, the
/// multipart upload.
/// </summary>
public abstract class ObjectWriter : IAsyncDisposable
{
    /// <summary>The bytes written so far.</summary>
    public long Length { get; protected set; }

    /// <summary>Appends bytes. Returns when the buffer may be used again, not when they are durable.</summary>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Makes the object exist, durable.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ObjectExists"/>: the key is taken. Nothing was changed.</exception>
    public abstract Task CommitAsync(CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}
