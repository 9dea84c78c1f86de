using System.Buffers;
using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Writes and reads WAL objects: an <see cref="Envelope"/> line with the head, and the compressed bytes. Every changed, missing or
/// additional byte is found: in the head by its digest, in the payload by its length, its CRC-32C and the digest of its content.
/// </summary>
internal static class WalObject
{
    /// <summary>What is read at first: nearly every head is shorter.</summary>
    public const int HeadLength = 4096;

    private const int CompressionLevel = 3;

    /// <summary>Makes an object. What depends on the content is filled into <paramref name="head"/>.</summary>
    public static byte[] Seal(WalObjectHead head, ReadOnlyMemory<byte> content)
    {
        byte[] payload = ArrayPool<byte>.Shared.Rent(BlockCodecs.Bound(content.Length));
        try
        {
            int stored = BlockCodecs.Compress(BlockCodecs.Default, content.Span, payload, CompressionLevel);
            return Seal(
                head,
                content,
                stored == 0 ? new WalPayload(BlockCodec.None, content) : new WalPayload(BlockCodecs.Default, payload.AsMemory(0, stored)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(payload);
        }
    }

    /// <summary>Makes an object of content that is compressed already.</summary>
    public static byte[] Seal(WalObjectHead head, ReadOnlyMemory<byte> content, WalPayload payload)
    {
        byte[] line = Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(
            head with
            {
                Length = content.Length,
                Sha256 = Hash256.Compute(content.Span),
                Codec = BlockCodecs.NameOf(payload.Codec),
                Stored = payload.Bytes.Length,
                Crc32C = Repositories.Crc32C.Compute(payload.Bytes.Span),
            },
            WalJson.Default.WalObjectHead));
        if (line.Length > Envelope.MaximumLength)
        {
            throw new InvalidOperationException($"The head of '{head.Name}' has {line.Length} bytes.");
        }

        byte[] result = GC.AllocateUninitializedArray<byte>(line.Length + payload.Bytes.Length);
        line.CopyTo(result, 0);
        payload.Bytes.CopyTo(result.AsMemory(line.Length));
        return result;
    }

    /// <summary>Reads the head of an object, and no more of it than that takes.</summary>
    public static Task<StoredWal> ReadHeadAsync(
        Repository repository, ulong systemId, WalKey wal, ObjectInfo info, CancellationToken cancellationToken) =>
        repository.ReadAsync(
            info.Key,
            (store, token) => ReadAsync(repository, store, info, async actual =>
            {
                for (int limit = HeadLength; ; limit *= 16)
                {
                    int length = (int)Math.Min(limit, actual.Length);
                    byte[] buffer = await ReadAsync(store, actual.Key, length, token).ConfigureAwait(false);
                    if (buffer.AsSpan().Contains((byte)'\n') || length == actual.Length || limit >= Envelope.MaximumLength)
                    {
                        return OpenHead(repository, systemId, wal, actual, buffer);
                    }
                }
            }, token),
            cancellationToken);

    /// <summary>Reads an object whole and gives its bytes, all verified.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="wal">The object.</param>
    /// <param name="info">What is known of it.</param>
    /// <param name="expected">The digest that its head was found to state before; another content than that is refused.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<(StoredWal Stored, byte[] Content)> ReadAsync(
        Repository repository, ulong systemId, WalKey wal, ObjectInfo info, Hash256? expected, CancellationToken cancellationToken) =>
        repository.ReadAsync(
            info.Key,
            (store, token) => ReadAsync(repository, store, info, async actual =>
            {
                (StoredWal stored, byte[] content, _) = await ReadAsync(store, repository, systemId, wal, actual, token).ConfigureAwait(false);
                return expected is null || stored.Head.Sha256 == expected
                    ? (stored, content)
                    : throw Damaged(info.Key, "it has another content than the object that was listed");
            }, token),
            cancellationToken);

    /// <summary>Reads an object whole from one store and gives its bytes, all verified, and the object as it is stored.</summary>
    public static async Task<(StoredWal Stored, byte[] Content, byte[] Sealed)> ReadAsync(
        IObjectStore store, Repository repository, ulong systemId, WalKey wal, ObjectInfo info, CancellationToken cancellationToken)
    {
        if (info.Length > Envelope.MaximumLength + (long)BlockCodecs.Bound(1 << 30))
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{info.Key}' is far too long.", target: info.Key);
        }

        byte[] buffer = await ReadAsync(store, info.Key, (int)info.Length, cancellationToken).ConfigureAwait(false);
        StoredWal stored = OpenHead(repository, systemId, wal, info, buffer);
        WalObjectHead head = stored.Head;
        ReadOnlyMemory<byte> payload = buffer.AsMemory(stored.HeadLength);
        if (Repositories.Crc32C.Compute(payload.Span) != head.Crc32C)
        {
            throw Damaged(info.Key, "its content does not match its checksum");
        }

        byte[] content = GC.AllocateUninitializedArray<byte>((int)head.Length);
        if (!BlockCodecs.TryDecompress(BlockCodecs.Parse(head.Codec), payload.Span, content) || Hash256.Compute(content) != head.Sha256)
        {
            throw Damaged(info.Key, "its content does not match its digest");
        }

        return (stored, content, buffer);
    }

    /// <summary>
    /// Reads an object as the store has it. One that was exchanged meanwhile, for the same content in other bytes, is read again: only where it
    /// is still the same it is damaged.
    /// </summary>
    private static async Task<T> ReadAsync<T>(
        Repository repository, IObjectStore store, ObjectInfo info, Func<ObjectInfo, Task<T>> read, CancellationToken cancellationToken)
    {
        ObjectInfo actual = await FindAsync(repository, store, info, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            try
            {
                return await read(actual).ConfigureAwait(false);
            }
            catch (SmcException e) when (repository.IsMoving && SmcErrors.IsDamage(e.Code))
            {
                ObjectInfo now = await FindAsync(repository, store, info, cancellationToken).ConfigureAwait(false);
                if (now == actual)
                {
                    throw;
                }

                actual = now;
            }
        }
    }

    /// <summary>The object as this store has it. What a listing said of it holds for the repository's own store only.</summary>
    private static async ValueTask<ObjectInfo> FindAsync(
        Repository repository, IObjectStore store, ObjectInfo info, CancellationToken cancellationToken) =>
        store == repository.Store && !repository.IsMoving
            ? info
            : await store.GetInfoAsync(info.Key, cancellationToken).ConfigureAwait(false) ?? throw new SmcException(
                SmcErrorCode.ObjectNotFound, $"There is no object '{info.Key}' in {store.Location}.", target: info.Key);

    private static StoredWal OpenHead(Repository repository, ulong systemId, WalKey wal, ObjectInfo info, ReadOnlyMemory<byte> start)
    {
        ReadOnlyMemory<byte> json = Envelope.Open(start, info.Key, out int lineLength);
        WalObjectHead head;
        try
        {
            head = JsonSerializer.Deserialize(json.Span, WalJson.Default.WalObjectHead)
                ?? throw new JsonException("There is no head.");
        }
        catch (JsonException e)
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{info.Key}' is not valid: {e.Message}", e, target: info.Key);
        }

        if (head.Format > Repository.FormatVersion)
        {
            throw new SmcException(
                SmcErrorCode.RepositoryFormatUnknown,
                $"The object '{info.Key}' has format {head.Format}, which this version does not know.",
                target: info.Key);
        }

        if (head.RepositoryId != repository.Id ||
            head.SystemId != systemId.ToString(System.Globalization.CultureInfo.InvariantCulture) || !Fits(head, wal))
        {
            throw new SmcException(
                SmcErrorCode.ManifestInvalid, $"The object '{info.Key}' is not the one that its key names.", target: info.Key);
        }

        return info.Length - lineLength == head.Stored
            ? new StoredWal(wal, info, head, lineLength)
            : throw Damaged(info.Key, $"it should have {lineLength + head.Stored} bytes and has {info.Length}");
    }

    private static bool Fits(WalObjectHead head, WalKey wal)
    {
        if (head.Timeline != wal.Timeline || head.Length is < 0 or > 1 << 30)
        {
            return false;
        }

        if (wal.Segment is not { } segment)
        {
            return head.Name == wal.Name;
        }

        if (head is not { Start: { } start, End: { } end, WalSegmentSize: { } size } || !WalSegmentName.IsSegmentSize(size) ||
            head.Name != segment.ToString())
        {
            return false;
        }

        Lsn begin = segment.StartLsn(size);
        return start == begin + (wal.StartOffset ?? 0) && end == begin + (wal.EndOffset ?? (uint)size) && end - start == head.Length;
    }

    private static async Task<byte[]> ReadAsync(IObjectStore store, string key, int length, CancellationToken cancellationToken)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(length);
        if (length == 0)
        {
            return buffer;
        }

        Stream stream = await store.OpenReadAsync(key, 0, length, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            try
            {
                await stream.ReadExactlyAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (EndOfStreamException e)
            {
                throw new SmcException(SmcErrorCode.ObjectTruncated, $"The object '{key}' ended before it should.", e, target: key);
            }
        }

        return buffer;
    }

    private static SmcException Damaged(string key, string problem) => new(
        SmcErrorCode.ChecksumMismatch,
        $"The WAL object '{key}' is damaged: {problem}.",
        recommendation: "Recover to a point before it, or take the object from a copy; take a new base backup now so that later times can be recovered.",
        target: key);
}
