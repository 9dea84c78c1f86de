namespace SmcDr.Core.Regions.Failback;

/// <summary>Writes the rows that COPY sends as CSV into a file, counts them, and keeps to a limit.</summary>
internal sealed class CsvFile : IAsyncDisposable
{
    private readonly FileStream _file;
    private readonly byte[] _buffer = new byte[64 << 10];
    private bool _isQuoted;

    private CsvFile(FileStream file) => _file = file;

    /// <summary>How many lines there are: one that goes on within quotes is one.</summary>
    public long Lines { get; private set; }

    /// <summary>Makes the file, readable by this account alone.</summary>
    public static CsvFile Create(string path)
    {
        FileStreamOptions options = new() { Mode = FileMode.Create, Access = FileAccess.Write, Options = FileOptions.Asynchronous };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new CsvFile(new FileStream(path, options));
    }

    /// <summary>Appends what a stream holds.</summary>
    /// <param name="source">The stream.</param>
    /// <param name="left">How many bytes may be written, in bytes.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>How many bytes were written; null where there are more than may be.</returns>
    public async Task<long?> AppendAsync(Stream source, long left, CancellationToken cancellationToken)
    {
        long written = 0;
        int count;
        while ((count = await source.ReadAsync(_buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            written += count;
            if (written > left)
            {
                return null;
            }

            foreach (byte one in _buffer.AsSpan(0, count))
            {
                // A quote within quotes is written twice, and so changes nothing.
                _isQuoted ^= one == '"';
                Lines += one == '\n' && !_isQuoted ? 1 : 0;
            }

            await _file.WriteAsync(_buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
        }

        return written;
    }

    /// <summary>Makes sure that all is on the disk.</summary>
    public void Flush() => _file.Flush(flushToDisk: true);

    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
