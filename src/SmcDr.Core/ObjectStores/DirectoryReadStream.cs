using Microsoft.Win32.SafeHandles;

namespace SmcDr.Core.ObjectStores;

/// <summary>A range of a file.</summary>
internal sealed class DirectoryReadStream(
    DirectoryObjectStore store, string key, SafeFileHandle file, long offset, long end) : ObjectReadStream
{
    private long _position = offset;

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int wanted = (int)Math.Min(buffer.Length, end - _position);
        if (wanted == 0)
        {
            return 0;
        }

        int read;
        try
        {
            read = await RandomAccess.ReadAsync(file, buffer[..wanted], _position, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException exception)
        {
            throw store.Failure($"The object '{key}' cannot be read", exception, key);
        }

        if (read == 0)
        {
            throw Truncated(key, store.Location, _position, end);
        }

        _position += read;
        return read;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            file.Dispose();
        }

        base.Dispose(disposing);
    }
}
