using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <content>Reading and listing.</content>
public sealed partial class S3ObjectStore
{
    private static readonly TimeSpan s_bucketTrust = TimeSpan.FromSeconds(30);

    private long _bucketSeenAt = long.MinValue;

    /// <inheritdoc/>
    public async Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        long? wantedEnd = length is null ? null : offset > long.MaxValue - length ? long.MaxValue : offset + length;

        // HTTP has no range of nothing, and answers 416 to one that begins at the end.
        GetObjectResponse? response = length == 0
            ? null
            : await TryOpenRangeAsync(key, offset, wantedEnd, entityTag: null, cancellationToken).ConfigureAwait(false);
        if (response is null)
        {
            ObjectInfo info = await GetInfoAsync(key, cancellationToken).ConfigureAwait(false) ?? throw NotFound(key);
            return offset <= info.Length && (wantedEnd ?? info.Length) <= info.Length
                ? new MemoryStream([], writable: false)
                : throw ObjectReadStream.Truncated(key, Location, info.Length, Math.Max(offset, wantedEnd ?? 0));
        }

        try
        {
            long objectLength = LengthOf(response, key, offset);
            long end = wantedEnd ?? objectLength;
            if (end > objectLength)
            {
                throw ObjectReadStream.Truncated(key, Location, objectLength, end);
            }

            S3ReadStream stream = new(this, key, offset, end, response.ETag, response);
            response = null;
            return new BufferedStream(stream, 128 * 1024);
        }
        finally
        {
            response?.Dispose();
        }
    }

    /// <inheritdoc/>
    public async Task<ObjectRange> OpenPartAsync(string key, long offset, long atMost, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(atMost);
        long wantedEnd = offset > long.MaxValue - atMost ? long.MaxValue : offset + atMost;
        GetObjectResponse? response = await TryOpenRangeAsync(key, offset, wantedEnd, entityTag: null, cancellationToken).ConfigureAwait(false);
        if (response is null)
        {
            ObjectInfo info = await GetInfoAsync(key, cancellationToken).ConfigureAwait(false) ?? throw NotFound(key);
            return new ObjectRange(Stream.Null, info.Length);
        }

        try
        {
            long objectLength = LengthOf(response, key, offset);
            S3ReadStream stream = new(this, key, offset, Math.Min(wantedEnd, objectLength), response.ETag, response);
            response = null;
            return new ObjectRange(new BufferedStream(stream, 128 * 1024), objectLength);
        }
        finally
        {
            response?.Dispose();
        }
    }

    /// <inheritdoc/>
    public async Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        GetObjectMetadataResponse? found = await TryHeadAsync(key, cancellationToken).ConfigureAwait(false);
        if (found is null)
        {
            // The answer to HEAD has no body, so a missing bucket looks like a missing object.
            await EnsureBucketAsync(key, cancellationToken).ConfigureAwait(false);
            return null;
        }

        return new ObjectInfo(key, found.ContentLength, Utc(found.LastModified));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        string previous = "";
        await foreach (ListObjectsV2Response page in PagesAsync(prefix, null, cancellationToken).ConfigureAwait(false))
        {
            foreach (S3Object found in page.S3Objects ?? [])
            {
                string key = found.Key[S3.Prefix.Length..];

                // Consoles make "folders" of empty objects whose keys end with '/'. What no key can be called is none of ours.
                if (ObjectKey.IsValid(key))
                {
                    EnsureOrder(previous, key);
                    previous = key;
                    yield return new ObjectInfo(key, found.Size ?? 0, Utc(found.LastModified));
                }
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListFoldersAsync(
        string prefix,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        string previous = "";
        await foreach (ListObjectsV2Response page in PagesAsync(prefix, "/", cancellationToken).ConfigureAwait(false))
        {
            foreach (string found in page.CommonPrefixes ?? [])
            {
                string folder = found[S3.Prefix.Length..];
                if (ObjectKey.IsValid(folder.AsSpan(0, folder.Length - 1)))
                {
                    EnsureOrder(previous, folder);
                    previous = folder;
                    yield return folder[prefix.Length..^1];
                }
            }
        }
    }

    /// <summary>Opens a range of an object that must still be the one it was.</summary>
    internal async Task<GetObjectResponse> OpenRangeAsync(
        string key,
        long offset,
        long end,
        string? entityTag,
        CancellationToken cancellationToken)
    {
        GetObjectResponse? response = await TryOpenRangeAsync(key, offset, end, entityTag, cancellationToken).ConfigureAwait(false);
        try
        {
            if (response is null || LengthOf(response, key, offset) < end)
            {
                throw ObjectReadStream.Truncated(key, Location, offset, end);
            }

            GetObjectResponse result = response;
            response = null;
            return result;
        }
        finally
        {
            response?.Dispose();
        }
    }

    private static DateTimeOffset Utc(DateTime? time) =>
        time is { } value ? new DateTimeOffset(value.ToUniversalTime(), TimeSpan.Zero) : DateTimeOffset.UnixEpoch;

    private SmcException NotFound(string key, Exception? exception = null) =>
        new(SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", exception, target: key);

    private Task<GetObjectMetadataResponse?> TryHeadAsync(string key, CancellationToken cancellationToken) =>
        RunAsync<GetObjectMetadataResponse?>(
            $"Whether there is an object '{key}' cannot be found out",
            key,
            0,
            async token =>
            {
                try
                {
                    return await _client
                        .GetObjectMetadataAsync(new GetObjectMetadataRequest { BucketName = S3.Bucket, Key = S3.Prefix + key }, token)
                        .ConfigureAwait(false);
                }
                catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
                {
                    return null;
                }
            },
            cancellationToken);

    private async Task EnsureBucketAsync(string key, CancellationToken cancellationToken)
    {
        long now = Environment.TickCount64;
        long seen = Interlocked.Read(ref _bucketSeenAt);
        if (seen != long.MinValue && now - seen < s_bucketTrust.TotalMilliseconds)
        {
            return;
        }

        await RunAsync(
            $"Whether there is an object '{key}' cannot be found out",
            key,
            0,
            token => _client.ListObjectsV2Async(
                new ListObjectsV2Request { BucketName = S3.Bucket, Prefix = S3.Prefix + key, MaxKeys = 1 },
                token),
            cancellationToken).ConfigureAwait(false);
        Interlocked.Exchange(ref _bucketSeenAt, now);
    }

    /// <summary>Opens a range, to the object's end where <paramref name="end"/> is null. Null where the object ends before the range begins.</summary>
    private Task<GetObjectResponse?> TryOpenRangeAsync(
        string key,
        long offset,
        long? end,
        string? entityTag,
        CancellationToken cancellationToken)
    {
        GetObjectRequest request = new() { BucketName = S3.Bucket, Key = S3.Prefix + key, EtagToMatch = entityTag };
        if (offset > 0 || end is not null)
        {
            request.ByteRange = end is null
                ? new ByteRange(string.Create(CultureInfo.InvariantCulture, $"bytes={offset}-"))
                : new ByteRange(offset, end.Value - 1);
        }

        return RunAsync<GetObjectResponse?>(
            $"The object '{key}' cannot be opened",
            key,
            0,
            async token =>
            {
                try
                {
                    return await _client.GetObjectAsync(request, token).ConfigureAwait(false);
                }
                catch (AmazonS3Exception exception) when (
                    exception.StatusCode == HttpStatusCode.NotFound && exception.ErrorCode != "NoSuchBucket")
                {
                    if (exception.ErrorCode != "NoSuchKey")
                    {
                        await EnsureBucketAsync(key, token).ConfigureAwait(false);
                    }

                    throw NotFound(key, exception);
                }
                catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
                {
                    return null;
                }
                catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.PreconditionFailed)
                {
                    throw new SmcException(
                        SmcErrorCode.ChecksumMismatch,
                        $"The object '{key}' in {Location} was replaced by another one while it was read.",
                        exception,
                        "Find out who else writes to the repository's location: SmcDr never replaces an object.",
                        key);
                }
            },
            cancellationToken);
    }

    /// <summary>The length of the whole object, as the answer to a request for a range of it tells.</summary>
    private long LengthOf(GetObjectResponse response, string key, long offset)
    {
        if (string.IsNullOrEmpty(response.ContentRange))
        {
            return offset == 0
                ? response.ContentLength
                : throw Unusable($"The server answers the request for a range of the object '{key}' with all of it.");
        }

        // bytes 0-9/100
        ReadOnlySpan<char> range = response.ContentRange;
        int dash = range.IndexOf('-');
        int slash = range.IndexOf('/');
        return range.StartsWith("bytes ", StringComparison.OrdinalIgnoreCase)
            && dash > 0
            && long.TryParse(range[6..dash], NumberStyles.None, CultureInfo.InvariantCulture, out long first)
            && first == offset
            && long.TryParse(range[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out long length)
                ? length
                : throw Unusable($"The server answers a request from byte {offset} of the object '{key}' with '{response.ContentRange}'.");

        SmcException Unusable(string message) => new(
            SmcErrorCode.StorageUnavailable,
            $"{message} The location is {Location}.",
            recommendation: "The server, or a proxy before it, does not speak S3 well enough to be relied on; use another one.",
            target: key);
    }

    private async IAsyncEnumerable<ListObjectsV2Response> PagesAsync(
        string prefix,
        string? delimiter,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ListObjectsV2Request request = new()
        {
            BucketName = S3.Bucket,
            Prefix = S3.Prefix + prefix,
            Delimiter = delimiter,
            MaxKeys = Options.PageSize,
        };
        while (true)
        {
            ListObjectsV2Response page = await RunAsync(
                $"The objects below '{prefix}' cannot be listed",
                null,
                0,
                token => _client.ListObjectsV2Async(request, token),
                cancellationToken).ConfigureAwait(false);
            yield return page;
            if (page.IsTruncated != true)
            {
                yield break;
            }

            // Without it the next request would begin at the beginning, for ever.
            request.ContinuationToken = string.IsNullOrEmpty(page.NextContinuationToken)
                ? throw new SmcException(
                    SmcErrorCode.StorageUnavailable,
                    $"The list of the objects below '{prefix}' in {Location} has more pages, and the server does not say where the next begins.",
                    recommendation: "The server does not speak S3 well enough to be relied on; use another one.")
                : page.NextContinuationToken;
        }
    }

    private void EnsureOrder(string previous, string next)
    {
        if (string.CompareOrdinal(previous, next) >= 0)
        {
            throw new SmcException(
                SmcErrorCode.StorageUnavailable,
                $"{Location} lists '{next}' after '{previous}': its lists have no order, and without it nothing tells whether one is complete.",
                recommendation: "Use a general purpose bucket: directory buckets (S3 Express) and some other servers list in no order.",
                target: next);
        }
    }
}
