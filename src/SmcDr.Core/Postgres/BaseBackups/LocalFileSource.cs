using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Reads files of the data directory where they lie, as the server's own function does: without its locks, so that pages may come half-written.
/// What cannot be read here is asked of the server, which alone says that a file is gone.
/// </summary>
internal sealed class LocalFileSource(LocalDataDirectory directory, ServerFileSource server) : ICopySource
{
    private long _received;

    public long ReceivedBytes => _received + server.ReceivedBytes;

    public async ValueTask<int?> ReadAsync(string path, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await GiveWayAsync(cancellationToken);
        using (NativeFile? file = directory.TryOpen(path))
        {
            if (file is not null && TryRead(file, buffer.Span, offset) is { } read)
            {
                _received += read;
                return read;
            }
        }

        return await server.ReadAsync(path, offset, buffer, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<(bool Differs, Range? Place)[]> ReadManyAsync(
        string[] paths, long[] lengths, byte[][] hashes, GrowingBuffer buffer, CancellationToken cancellationToken)
    {
        await GiveWayAsync(cancellationToken);
        return TryReadMany(paths, lengths, hashes, buffer) ??
            await server.ReadManyAsync(paths, lengths, hashes, buffer, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask CompareAsync(
        IReadOnlyList<PageRange> ranges, int pageSize, GrowingBuffer buffer, CancellationToken cancellationToken)
    {
        await GiveWayAsync(cancellationToken);
        if (!TryCompare(ranges, pageSize, buffer))
        {
            await server.CompareAsync(ranges, pageSize, buffer, cancellationToken).ConfigureAwait(false);
        }
    }

    public ValueTask<Lsn> GetWalEndAsync(CancellationToken cancellationToken) => server.GetWalEndAsync(cancellationToken);

    public ValueTask DisposeAsync() => server.DisposeAsync();

    /// <summary>
    /// Reading never waits, as far as the thread pool sees: without this the workers would keep all its threads, and the WAL that is
    /// received beside them would have to wait.
    /// </summary>
    private static YieldAwaitable GiveWayAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.Yield();
    }

    private (bool Differs, Range? Place)[]? TryReadMany(string[] paths, long[] lengths, byte[][] hashes, GrowingBuffer buffer)
    {
        buffer.Clear();
        long received = 0;
        (bool Differs, Range? Place)[] result = new (bool, Range?)[paths.Length];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        for (int i = 0; i < paths.Length; i++)
        {
            int start = buffer.Length;
            Span<byte> room = buffer.Reserve((int)lengths[i]);
            using NativeFile? file = directory.TryOpen(paths[i]);
            if (file is null || TryRead(file, room, 0) is not { } read)
            {
                return null;
            }

            if (hashes[i].Length > 0)
            {
                SHA256.HashData(room[..read], hash);
                if (hash.SequenceEqual(hashes[i]))
                {
                    continue;
                }
            }

            buffer.Advance(read);
            received += read;
            result[i] = (true, start..buffer.Length);
        }

        _received += received;
        return result;
    }

    private bool TryCompare(IReadOnlyList<PageRange> ranges, int pageSize, GrowingBuffer buffer)
    {
        buffer.Clear();
        NativeFile? file = null;
        string? path = null;
        try
        {
            foreach (PageRange range in ranges)
            {
                range.Clear();
                if (range.Path != path)
                {
                    file?.Dispose();
                    file = directory.TryOpen(path = range.Path);
                }

                Span<byte> room = buffer.Reserve(range.Length);
                if (file is null || TryRead(file, room, range.Offset) is not { } read)
                {
                    return false;
                }

                range.SetFound(read);
                Take(range, room[..read], pageSize, buffer);
            }
        }
        finally
        {
            file?.Dispose();
        }

        _received += buffer.Length;
        return true;
    }

    /// <summary>Keeps of a range that lies behind the buffer's end what has changed.</summary>
    private static void Take(PageRange range, Span<byte> content, int pageSize, GrowingBuffer buffer)
    {
        List<int> changed = [];
        int count = PageDigests.CountOf(content.Length, pageSize);
        for (int page = 0; page < count; page++)
        {
            int at = page * pageSize;
            if (!range.IsKnown(page, content.Slice(at, Math.Min(pageSize, content.Length - at))))
            {
                changed.Add(page);
            }
        }

        if (count > 0 && changed.Count * 4 >= count * 3)
        {
            range.SetWhole(buffer.Length..(buffer.Length + content.Length));
            buffer.Advance(content.Length);
            return;
        }

        int start = buffer.Length;
        int taken = 0;
        foreach (int page in changed)
        {
            int at = page * pageSize;
            int length = Math.Min(pageSize, content.Length - at);
            content.Slice(at, length).CopyTo(content[taken..]);
            range.Add(page, (start + taken)..(start + taken + length));
            taken += length;
        }

        buffer.Advance(taken);
    }

    private static int? TryRead(NativeFile file, Span<byte> buffer, long offset)
    {
        try
        {
            return file.Read(buffer, offset);
        }
        catch (PosixException)
        {
            return null;
        }
    }
}
