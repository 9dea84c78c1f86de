using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Encryption;

/// <summary>
/// A view of an object store in which every object is encrypted, except for the repository's root and its key envelopes. The form of
/// an object is in docs/repository-format.md.
/// </summary>
/// <remarks>Keys, lengths and times stay what the store below says; lengths are converted to those of the content.</remarks>
internal sealed class EncryptedObjectStore : IObjectStore
{
    // Packs are read in many ranges; each would ask for the header again. Bounded, because a repository may have millions of objects.
    private const int MaximumHeaders = 4096;

    // A range that begins this near to the object's beginning is read from there, in the same request as the header.
    private const long NearStart = 4 * FrameLayout.StoredFrameLength;

    private readonly ConcurrentDictionary<string, ObjectHeader> _headers = new(StringComparer.Ordinal);

    /// <summary>Creates the view, which owns both.</summary>
    public EncryptedObjectStore(IObjectStore inner, RepositoryKeyring keyring)
    {
        Inner = inner;
        Keyring = keyring;
    }

    /// <summary>The store as it is.</summary>
    public IObjectStore Inner { get; }

    /// <summary>The keys.</summary>
    public RepositoryKeyring Keyring { get; }

    /// <inheritdoc/>
    public string Location => Inner.Location;

    /// <inheritdoc/>
    public async Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        ObjectWriter writer = await Inner.CreateAsync(key, cancellationToken).ConfigureAwait(false);
        return IsClear(key) ? writer : new EncryptedObjectWriter(writer, ObjectHeader.Create(Keyring.Current, key), key);
    }

    /// <inheritdoc/>
    public async Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        if (IsClear(key))
        {
            await Inner.PutAsync(key, content, cancellationToken).ConfigureAwait(false);
            return;
        }

        int length = checked((int)FrameLayout.StoredLengthOf(key, content.Length));
        byte[] stored = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Seal(Keyring.Current, key, content.Span, stored);
            await Inner.PutAsync(key, stored.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(stored);
        }
    }

    /// <inheritdoc/>
    public async Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        return IsClear(key)
            ? await Inner.OpenReadAsync(key, offset, length, cancellationToken).ConfigureAwait(false)
            : await OpenEncryptedAsync(key, offset, length, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads an encrypted object, whatever its key.</summary>
    internal async Task<Stream> OpenEncryptedAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        int headerLength = ObjectHeader.LengthOf(key);
        long? wantedEnd = length is null ? null : offset > long.MaxValue - length ? long.MaxValue : offset + length;
        long firstFrame = offset / FrameLayout.FrameLength;
        ObjectHeader? header = _headers.GetValueOrDefault(key);

        // What is asked of the store below: from the beginning where the header is unknown and the range is near, else the header alone
        // first. Behind the end of the object there is simply nothing to get.
        long start = header is not null || firstFrame * FrameLayout.StoredFrameLength > NearStart
            ? headerLength + (firstFrame * FrameLayout.StoredFrameLength)
            : 0;
        if (header is null && start > 0)
        {
            ObjectRange head = await Inner.OpenPartAsync(key, 0, headerLength, cancellationToken).ConfigureAwait(false);
            await using (head.Content.ConfigureAwait(false))
            {
                header = await ReadHeaderAsync(key, head.Content, cancellationToken).ConfigureAwait(false);
            }
        }

        long end = wantedEnd is null || wantedEnd > long.MaxValue / 2
            ? long.MaxValue
            : headerLength + (FrameLayout.CountOf(wantedEnd.Value) * FrameLayout.StoredFrameLength);
        ObjectRange part = await Inner.OpenPartAsync(key, start, Math.Max(1, end - start), cancellationToken).ConfigureAwait(false);
        try
        {
            if (start == 0)
            {
                header = await ReadHeaderAsync(key, part.Content, cancellationToken).ConfigureAwait(false);
                start = headerLength;
            }

            long contentLength = FrameLayout.ContentLengthOf(key, part.ObjectLength);
            long contentEnd = wantedEnd ?? contentLength;
            if (!FrameLayout.IsPossible(key, part.ObjectLength))
            {
                throw await DiagnoseLengthAsync(key, header!, part.ObjectLength, cancellationToken).ConfigureAwait(false);
            }

            if (offset > contentLength || contentEnd > contentLength)
            {
                throw ObjectReadStream.Truncated(key, Location, contentLength, Math.Max(offset, contentEnd));
            }

            // Without a length the object's end is read and proven, also where it holds no content.
            EncryptedReadStream stream = new(this, key, header!, part, start, offset, contentEnd, toEnd: length is null);
            part = default;
            await stream.SkipAsync(cancellationToken).ConfigureAwait(false);
            return stream;
        }
        finally
        {
            if (part.Content is not null)
            {
                await part.Content.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public async Task<ObjectRange> OpenPartAsync(string key, long offset, long atMost, CancellationToken cancellationToken)
    {
        if (IsClear(key))
        {
            return await Inner.OpenPartAsync(key, offset, atMost, cancellationToken).ConfigureAwait(false);
        }

        ObjectInfo info = await GetInfoAsync(key, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", target: key);
        long start = Math.Min(offset, info.Length);
        long length = Math.Min(atMost, info.Length - start);
        return new ObjectRange(await OpenReadAsync(key, start, length, cancellationToken).ConfigureAwait(false), info.Length);
    }

    /// <inheritdoc/>
    public async Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken)
    {
        ObjectInfo? info = await Inner.GetInfoAsync(key, cancellationToken).ConfigureAwait(false);
        return info is null || IsClear(key) ? info : FrameLayout.ContentOf(info);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (ObjectInfo info in Inner.ListAsync(prefix, cancellationToken).ConfigureAwait(false))
        {
            yield return IsClear(info.Key) ? info : FrameLayout.ContentOf(info);
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken) =>
        Inner.ListFoldersAsync(prefix, cancellationToken);

    /// <inheritdoc/>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        await Inner.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        _headers.TryRemove(key, out _);
    }

    /// <inheritdoc/>
    public async Task DiscardAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        await Inner.DiscardAsync(keys, cancellationToken).ConfigureAwait(false);
        foreach (string key in keys)
        {
            _headers.TryRemove(key, out _);
        }
    }

    /// <inheritdoc/>
    public Task LockAsync(string key, DateTimeOffset until, ObjectLockMode mode, CancellationToken cancellationToken) =>
        Inner.LockAsync(key, until, mode, cancellationToken);

    /// <inheritdoc/>
    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => Inner.ProbeAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Inner.DisposeAsync().ConfigureAwait(false);
        Keyring.Dispose();
    }

    /// <summary>Encrypts a whole object; <paramref name="stored"/> holds at least <see cref="FrameLayout.StoredLengthOf"/> bytes.</summary>
    internal static void Seal(RepositoryKey repositoryKey, string key, ReadOnlySpan<byte> content, Span<byte> stored)
    {
        ObjectHeader header = ObjectHeader.Create(repositoryKey, key);
        header.Bytes.Span.CopyTo(stored);
        stored = stored[header.Bytes.Length..];
        using ObjectCipher cipher = header.CreateCipher(key);
        long count = FrameLayout.CountOf(content.Length);
        for (long number = 0; number < count; number++)
        {
            int length = Math.Min(content.Length, FrameLayout.FrameLength);
            int written = cipher.Seal(number, number == count - 1, content[..length], stored);
            content = content[length..];
            stored = stored[written..];
        }
    }

    /// <summary>Whether an object is stored as it is: the root, which says that the others are not, and the key envelopes.</summary>
    internal static bool IsClear(string key) =>
        key == RepositoryKeys.Root || key.StartsWith(RepositoryKeys.KeysFolder, StringComparison.Ordinal);

    /// <summary>
    /// Looks at an object in which a frame is not what it must be, and says what that means. Only who wants to know why pays for the
    /// search.
    /// </summary>
    internal async Task<SmcException> DiagnoseAsync(
        string key, ObjectHeader header, long number, long count, ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        if (_headers.TryRemove(key, out _))
        {
            ObjectRange head = await Inner.OpenPartAsync(key, 0, ObjectHeader.LengthOf(key), cancellationToken).ConfigureAwait(false);
            await using (head.Content.ConfigureAwait(false))
            {
                ObjectHeader now = await ReadHeaderAsync(key, head.Content, cancellationToken).ConfigureAwait(false);
                if (!now.Bytes.Span.SequenceEqual(header.Bytes.Span))
                {
                    return new SmcException(
                        SmcErrorCode.StorageUnavailable,
                        $"The object '{key}' in {Location} was replaced while it was read.",
                        recommendation: "Run the command again.",
                        target: key);
                }
            }
        }

        return FrameDiagnosis.Explain(key, Location, header, number, count, frame.Span);
    }

    /// <summary>An object of a length that no object has: cut short, or with a few bytes behind its last frame.</summary>
    private async Task<SmcException> DiagnoseLengthAsync(
        string key, ObjectHeader header, long storedLength, CancellationToken cancellationToken)
    {
        int headerLength = ObjectHeader.LengthOf(key);
        long count = (storedLength - headerLength) / FrameLayout.StoredFrameLength;
        byte[] frame = new byte[FrameLayout.StoredFrameLength];
        byte[] content = new byte[FrameLayout.FrameLength];
        try
        {
            Stream stream = await Inner.OpenReadAsync(key, headerLength, count * frame.Length, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                using ObjectCipher cipher = header.CreateCipher(key);
                for (long number = 0; number < count; number++)
                {
                    await stream.ReadExactlyAsync(frame, cancellationToken).ConfigureAwait(false);
                    if (!cipher.TryOpen(number, false, frame, content))
                    {
                        return FrameDiagnosis.Explain(key, Location, header, number, count + 1, frame);
                    }
                }
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }

        return new SmcException(
            SmcErrorCode.ObjectTruncated,
            $"The object '{key}' in {Location} has {storedLength} bytes, which no object of its kind has: it was cut short.",
            target: key);
    }

    private async Task<ObjectHeader> ReadHeaderAsync(string key, Stream content, CancellationToken cancellationToken)
    {
        byte[] start = new byte[ObjectHeader.LengthOf(key)];
        int read = await content.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        ObjectHeader header;
        try
        {
            header = ObjectHeader.Parse(Keyring, key, start.AsSpan(0, read));
        }
        catch (SmcException) when (read == start.Length)
        {
            // Another object's header may be longer than this one's would be; it tells better what is wrong.
            ObjectRange longer = await Inner.OpenPartAsync(key, 0, ObjectHeader.MaximumLength, cancellationToken).ConfigureAwait(false);
            await using (longer.Content.ConfigureAwait(false))
            {
                start = new byte[ObjectHeader.MaximumLength];
                read = await longer.Content.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            }

            header = ObjectHeader.Parse(Keyring, key, start.AsSpan(0, read));
        }

        if (_headers.Count >= MaximumHeaders)
        {
            _headers.Clear();
        }

        _headers[key] = header;
        return header;
    }
}
