using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Amazon;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <summary>Objects in an S3 bucket, of AWS or of a server that speaks the same protocol more or less.</summary>
/// <remarks>
/// Every write carries <c>If-None-Match: *</c> and a tag of its own in the object's metadata. By the tag a write whose answer got lost,
/// and whose repetition is refused, is known as our own. A server that is not AWS might ignore the condition without a word, so the key
/// is looked at first, until <see cref="ProbeAsync"/> has seen a second write refused; between that look and the write another writer
/// may slip in, which is all that such a server allows.
/// </remarks>
public sealed class S3ObjectStore : IObjectStore
{
    private const string TagName = "smcdr-write";

    private static readonly TimeSpan s_bucketTrust = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_abortTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_uploadLife = TimeSpan.FromDays(7);

    private readonly AmazonS3Client _client;
    private volatile Condition _condition;
    private volatile bool _sendMd5;
    private long _bucketSeenAt = long.MinValue;

    /// <summary>Creates a store. Nothing is sent yet.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.LocationInvalid"/>: neither the location nor the environment names a region;
    /// <see cref="SmcErrorCode.StorageAccessDenied"/>: there is no such profile.
    /// </exception>
    public S3ObjectStore(S3Location location)
        : this(location, new S3ObjectStoreOptions())
    {
    }

    internal S3ObjectStore(S3Location location, S3ObjectStoreOptions options)
    {
        S3 = location;
        Options = options;
        Location = location.ToString();
        _condition = location.Endpoint is null ? Condition.Trusted : Condition.Unknown;
        AmazonS3Config config = new()
        {
            ForcePathStyle = location.PathStyle,
            HttpClientFactory = new S3HttpClientFactory(options.Silence),
            MaxErrorRetry = options.Retries,
            // Exponential back-off with jitter, and a budget shared by all requests that empties when everything fails.
            RetryMode = RequestRetryMode.Standard,
            RequestChecksumCalculation = location.ChecksumsWhenSupported
                ? RequestChecksumCalculation.WHEN_SUPPORTED
                : RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = location.ChecksumsWhenSupported
                ? ResponseChecksumValidation.WHEN_SUPPORTED
                : ResponseChecksumValidation.WHEN_REQUIRED,
        };
        if (location.Endpoint is { } endpoint)
        {
            config.ServiceURL = endpoint.AbsoluteUri;
            config.AuthenticationRegion = location.Region ?? "us-east-1";
        }
        else if (location.Region is { } region)
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        }

        if (location.Profile is { } profile)
        {
            config.Profile = new Profile(profile);
        }

        try
        {
            _client = options.Credentials is { } credentials
                ? new AmazonS3Client(credentials, config)
                : new AmazonS3Client(config);
        }
        catch (AmazonClientException exception)
        {
            throw new SmcException(
                SmcErrorCode.LocationInvalid,
                $"The location '{Location}' cannot be used: {exception.Message}",
                exception,
                "Add 'region=' to the location, or check that its profile is in the shared AWS configuration.",
                Location);
        }
    }

    /// <summary>How far a server's word on conditional writes is to be relied on.</summary>
    private enum Condition
    {
        Unknown,
        Trusted,
        Ignored,
        Refused,
    }

    /// <inheritdoc/>
    public string Location { get; }

    internal S3Location S3 { get; }

    internal S3ObjectStoreOptions Options { get; }

    /// <inheritdoc/>
    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult<ObjectWriter>(new S3ObjectWriter(this, key));
    }

    /// <inheritdoc/>
    public Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        return PutAsync(key, NewTag(), content, cancellationToken);
    }

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

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        return RunAsync(
            $"The object '{key}' cannot be deleted",
            key,
            0,
            async token =>
            {
                try
                {
                    await _client
                        .DeleteObjectAsync(new DeleteObjectRequest { BucketName = S3.Bucket, Key = S3.Prefix + key }, token)
                        .ConfigureAwait(false);
                }
                catch (AmazonS3Exception exception) when (exception.ErrorCode == "NoSuchKey")
                {
                    // Some servers tell, AWS does not.
                }

                return true;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Also gives up multipart uploads below the location that were begun over a week ago, so by writers long killed: they are paid
    /// for, and no list of objects shows them.
    /// </remarks>
    public async Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken)
    {
        string key = $"smcdr-probe-{Guid.NewGuid():N}";
        try
        {
            _condition = await ProbeConditionAsync(key, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            using CancellationTokenSource patience = new(s_abortTime);
            try
            {
                await DeleteAsync(key, patience.Token).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is SmcException or OperationCanceledException)
            {
                // The first failure is the one to tell.
            }

            throw;
        }

        // An account that may write and not delete is found out here.
        await DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        await AbortForgottenUploadsAsync(cancellationToken).ConfigureAwait(false);
        bool versioning = await AskAsync(
            async token =>
            {
                GetBucketVersioningResponse response = await _client
                    .GetBucketVersioningAsync(new GetBucketVersioningRequest { BucketName = S3.Bucket }, token)
                    .ConfigureAwait(false);
                return response.VersioningConfig?.Status == VersionStatus.Enabled;
            },
            cancellationToken).ConfigureAwait(false);
        bool objectLock = await AskAsync(
            async token =>
            {
                GetObjectLockConfigurationResponse response = await _client
                    .GetObjectLockConfigurationAsync(new GetObjectLockConfigurationRequest { BucketName = S3.Bucket }, token)
                    .ConfigureAwait(false);
                return response.ObjectLockConfiguration?.ObjectLockEnabled == ObjectLockEnabled.Enabled;
            },
            cancellationToken).ConfigureAwait(false);
        return new ObjectStoreCapabilities(_condition == Condition.Trusted, versioning, objectLock);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    internal static string NewTag() => Guid.NewGuid().ToString("N");

    /// <summary>Waits before a repetition: exponentially longer, with full jitter so that many clients do not come back at once.</summary>
    internal static Task BackOffAsync(int failures, CancellationToken cancellationToken)
    {
        double most = Math.Min(20_000, 100 * Math.Pow(2, failures - 1));
        return Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * most), cancellationToken);
    }

    internal async Task PutAsync(string key, string tag, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await EnsureFreeAsync(key, cancellationToken).ConfigureAwait(false);
        bool stored = await RunAsync(
            $"The object '{key}' cannot be stored",
            key,
            content.Length,
            token => TryWriteAsync(condition => SendPutAsync(key, tag, content, condition, token)),
            cancellationToken).ConfigureAwait(false);
        if (!stored)
        {
            await EnsureOwnAsync(key, tag, content.Length, () => [Md5(content.Span)], cancellationToken).ConfigureAwait(false);
        }
    }

    internal async Task<string> BeginUploadAsync(string key, string tag, CancellationToken cancellationToken)
    {
        // Told before gigabytes are sent, not after.
        if (await TryHeadAsync(key, cancellationToken).ConfigureAwait(false) is not null)
        {
            throw Exists(key);
        }

        return await RunAsync(
            $"The upload of the object '{key}' cannot be begun",
            key,
            0,
            async token =>
            {
                InitiateMultipartUploadRequest request = new() { BucketName = S3.Bucket, Key = S3.Prefix + key };
                request.Metadata.Add(TagName, tag);
                InitiateMultipartUploadResponse response = await _client
                    .InitiateMultipartUploadAsync(request, token)
                    .ConfigureAwait(false);
                return response.UploadId;
            },
            cancellationToken).ConfigureAwait(false);
    }

    internal Task<PartETag> UploadPartAsync(
        string key,
        string uploadId,
        int number,
        MemoryStream content,
        CancellationToken cancellationToken) =>
        RunAsync(
            $"Part {number} of the object '{key}' cannot be stored",
            key,
            content.Length,
            async token =>
            {
                UploadPartResponse response = await RepeatWithMd5Async(
                    md5 =>
                    {
                        content.Position = 0;
                        UploadPartRequest request = new()
                        {
                            BucketName = S3.Bucket,
                            Key = S3.Prefix + key,
                            UploadId = uploadId,
                            PartNumber = number,
                            PartSize = content.Length,
                            InputStream = content,
                            UseChunkEncoding = false,
                        };
                        if (md5)
                        {
                            request.MD5Digest = Convert.ToBase64String(MD5OfStream(content));
                        }

                        return _client.UploadPartAsync(request, token);
                    }).ConfigureAwait(false);
                return new PartETag(number, response.ETag)
                {
                    ChecksumCRC32 = response.ChecksumCRC32,
                    ChecksumCRC64NVME = response.ChecksumCRC64NVME,
                };
            },
            cancellationToken);

    internal async Task CompleteUploadAsync(
        string key,
        string tag,
        string uploadId,
        PartETag[] parts,
        long length,
        CancellationToken cancellationToken)
    {
        // Always, not only where the condition is not trusted: servers exist that know the condition for PutObject and ignore it here.
        if (await TryHeadAsync(key, cancellationToken).ConfigureAwait(false) is not null)
        {
            throw Exists(key);
        }

        bool stored = await RunAsync(
            $"The upload of the object '{key}' cannot be completed",
            key,
            0,
            token => TryWriteAsync(
                async condition =>
                {
                    CompleteMultipartUploadResponse response = await _client.CompleteMultipartUploadAsync(
                        new CompleteMultipartUploadRequest
                        {
                            BucketName = S3.Bucket,
                            Key = S3.Prefix + key,
                            UploadId = uploadId,
                            PartETags = [.. parts],
                            IfNoneMatch = condition,
                        },
                        token).ConfigureAwait(false);

                    // S3 says 200 first and works then: an answer without the new object's tag is no success.
                    if (string.IsNullOrEmpty(response.ETag))
                    {
                        throw new AmazonS3Exception("The answer to the completion names no object.", ErrorType.Receiver, "InternalError", "", HttpStatusCode.OK);
                    }
                }),
            cancellationToken).ConfigureAwait(false);
        if (!stored)
        {
            await EnsureOwnAsync(key, tag, length, () => [.. parts.Select(static part => Convert.FromHexString(part.ETag.Trim('"')))], cancellationToken)
                .ConfigureAwait(false);
        }
    }

    /// <summary>Gives an upload up, however its writer ended; what cannot be reached now is found by a later probe.</summary>
    internal async Task AbortUploadAsync(string key, string uploadId)
    {
        using CancellationTokenSource patience = new(s_abortTime);
        try
        {
            await _client.AbortMultipartUploadAsync(
                new AbortMultipartUploadRequest { BucketName = S3.Bucket, Key = S3.Prefix + key, UploadId = uploadId },
                patience.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (S3Failure.IsForeseen(exception) || exception is OperationCanceledException)
        {
            // An error here would hide the one that led to giving the upload up.
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

    // MD5 is what the protocol's Content-MD5 and entity tags are made of; nothing here relies on it for security.
#pragma warning disable CA5351
    private static byte[] Md5(ReadOnlySpan<byte> content) => MD5.HashData(content);

    private static byte[] MD5OfStream(MemoryStream content)
    {
        byte[] hash = MD5.HashData(content);
        content.Position = 0;
        return hash;
    }
#pragma warning restore CA5351

    private static MemoryStream StreamOf(ReadOnlyMemory<byte> content) =>
        MemoryMarshal.TryGetArray(content, out ArraySegment<byte> segment)
            ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
            : new MemoryStream(content.ToArray(), writable: false);

    private SmcException Exists(string key) =>
        new(SmcErrorCode.ObjectExists, $"There is an object '{key}' in {Location} already.", target: key);

    private SmcException NotFound(string key, Exception? exception = null) =>
        new(SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", exception, target: key);

    /// <summary>Sends a request, again where that may help and the SDK does not, and says what a failure means.</summary>
    private async Task<T> RunAsync<T>(
        string what,
        string? key,
        long bodyBytes,
        Func<CancellationToken, Task<T>> send,
        CancellationToken cancellationToken)
    {
        // A last resort: an attempt that sends headers and then nothing ends neither by itself nor by the timeout of its beginning.
        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(
            (Options.Retries + 1) * (Options.Silence + TimeSpan.FromSeconds(20 + (bodyBytes / (64 * 1024)))));
        try
        {
            for (int failures = 1; ; failures++)
            {
                try
                {
                    return await send(patience.Token).ConfigureAwait(false);
                }
                catch (AmazonServiceException exception) when (failures <= Options.Retries && S3Failure.MayPass(exception))
                {
                    await BackOffAsync(failures, patience.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw S3Failure.Translate(what, new TimeoutException("The server did not finish its answer in time.", exception), S3, key);
        }
        catch (Exception exception) when (S3Failure.IsForeseen(exception))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw S3Failure.Translate(what, exception, S3, key);
        }
    }

    /// <summary>Writes under the condition that the key is free. False where the server refuses.</summary>
    private async Task<bool> TryWriteAsync(Func<string?, Task> write)
    {
        try
        {
            try
            {
                await write(_condition == Condition.Refused ? null : "*").ConfigureAwait(false);
            }
            catch (AmazonS3Exception exception) when (_condition != Condition.Refused && S3Failure.IsNotImplemented(exception))
            {
                _condition = Condition.Refused;
                await write(null).ConfigureAwait(false);
            }

            return true;
        }
        catch (AmazonS3Exception exception) when (
            exception.StatusCode == HttpStatusCode.PreconditionFailed
            // The upload is over: either our completion worked and its answer got lost, or somebody gave the upload up.
            || (exception.StatusCode == HttpStatusCode.NotFound && exception.ErrorCode != "NoSuchBucket"))
        {
            return false;
        }
    }

    private async Task SendPutAsync(
        string key,
        string tag,
        ReadOnlyMemory<byte> content,
        string? condition,
        CancellationToken cancellationToken)
    {
        await RepeatWithMd5Async(
            md5 =>
            {
                PutObjectRequest request = new()
                {
                    BucketName = S3.Bucket,
                    Key = S3.Prefix + key,
                    InputStream = StreamOf(content),
                    // Servers exist that store the framing of chunks, in which the SDK would sign the body and put its checksum, as if it
                    // were content. Without it signature and checksum go into the head, and the server still checks every byte.
                    UseChunkEncoding = false,
                    IfNoneMatch = condition,
                };
                if (md5)
                {
                    request.MD5Digest = Convert.ToBase64String(Md5(content.Span));
                }

                request.Metadata.Add(TagName, tag);
                return _client.PutObjectAsync(request, cancellationToken);
            }).ConfigureAwait(false);
    }

    /// <summary>Sends a body; and once more, from then on always, with its MD5 where the server demands that.</summary>
    private async Task<T> RepeatWithMd5Async<T>(Func<bool, Task<T>> send)
    {
        bool sent = _sendMd5;
        try
        {
            return await send(sent).ConfigureAwait(false);
        }
        catch (AmazonS3Exception exception) when (!sent && S3Failure.MayWantMd5(exception))
        {
            T result = await send(true).ConfigureAwait(false);
            _sendMd5 = true;
            return result;
        }
    }

    private async Task EnsureFreeAsync(string key, CancellationToken cancellationToken)
    {
        if (_condition != Condition.Trusted && await TryHeadAsync(key, cancellationToken).ConfigureAwait(false) is not null)
        {
            throw Exists(key);
        }
    }

    /// <summary>
    /// After a refused write: whether it was refused because of our own, whose answer got lost. By the tag; where a gateway dropped that,
    /// by length and entity tag, which is the MD5 of a small object and an MD5 of its parts' MD5 for one of several parts.
    /// </summary>
    private async Task EnsureOwnAsync(
        string key,
        string tag,
        long length,
        Func<byte[][]> hashes,
        CancellationToken cancellationToken)
    {
        GetObjectMetadataResponse? found = await TryHeadAsync(key, cancellationToken).ConfigureAwait(false);
        if (found is null)
        {
            await EnsureBucketAsync(key, cancellationToken).ConfigureAwait(false);
            throw new SmcException(
                SmcErrorCode.StorageUnavailable,
                $"The object '{key}' in {Location} was not stored: the server refused it as existing, or gave its upload up, and yet it does not exist.",
                target: key);
        }

        string? foundTag = found.Metadata[TagName];
        bool own = foundTag is not null
            ? foundTag == tag
            : found.ContentLength == length && found.ETag?.Trim('"') == ExpectedEntityTag(hashes);
        if (!own)
        {
            throw Exists(key);
        }
    }

    private static string? ExpectedEntityTag(Func<byte[][]> hashes)
    {
        try
        {
            byte[][] all = hashes();
            return all.Length == 1
                ? Convert.ToHexStringLower(all[0])
                : string.Create(CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(Md5([.. all.SelectMany(static hash => hash)]))}-{all.Length}");
        }
        catch (FormatException)
        {
            // With some kinds of encryption the tags of parts are no hashes.
            return null;
        }
    }

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

    /// <summary>Writes one key again, as a whole and in parts, and sees whether both are refused.</summary>
    private async Task<Condition> ProbeConditionAsync(string key, CancellationToken cancellationToken)
    {
        bool first = await WriteProbeAsync().ConfigureAwait(false);
        if (!first)
        {
            await EnsureBucketAsync(key, cancellationToken).ConfigureAwait(false);
            throw new SmcException(
                SmcErrorCode.StorageUnavailable,
                $"The server of {Location} refuses to write the new key '{key}' as if it were taken.",
                target: key);
        }

        if (_condition == Condition.Refused)
        {
            return Condition.Refused;
        }

        if (await WriteProbeAsync().ConfigureAwait(false))
        {
            return Condition.Ignored;
        }

        string uploadId = await RunAsync(
            "Conditional writes cannot be tried",
            key,
            0,
            async token => (await _client
                .InitiateMultipartUploadAsync(new InitiateMultipartUploadRequest { BucketName = S3.Bucket, Key = S3.Prefix + key }, token)
                .ConfigureAwait(false)).UploadId,
            cancellationToken).ConfigureAwait(false);
        try
        {
            PartETag part = await UploadPartAsync(key, uploadId, 1, new MemoryStream("probe"u8.ToArray(), writable: false), cancellationToken)
                .ConfigureAwait(false);
            bool completed = await RunAsync(
                "Conditional writes cannot be tried",
                key,
                0,
                token => TryWriteAsync(condition => _client.CompleteMultipartUploadAsync(
                    new CompleteMultipartUploadRequest
                    {
                        BucketName = S3.Bucket,
                        Key = S3.Prefix + key,
                        UploadId = uploadId,
                        PartETags = [part],
                        IfNoneMatch = condition,
                    },
                    token)),
                cancellationToken).ConfigureAwait(false);
            return completed ? Condition.Ignored : Condition.Trusted;
        }
        finally
        {
            await AbortUploadAsync(key, uploadId).ConfigureAwait(false);
        }

        Task<bool> WriteProbeAsync() => RunAsync(
            "Conditional writes cannot be tried",
            key,
            0,
            token => TryWriteAsync(condition => SendPutAsync(key, NewTag(), "probe"u8.ToArray(), condition, token)),
            cancellationToken);
    }

    private async Task AbortForgottenUploadsAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset limit = DateTimeOffset.UtcNow - s_uploadLife;
        ListMultipartUploadsRequest request = new() { BucketName = S3.Bucket, Prefix = S3.Prefix };
        try
        {
            while (true)
            {
                ListMultipartUploadsResponse page = await RunAsync(
                    "Forgotten uploads cannot be listed",
                    null,
                    0,
                    token => _client.ListMultipartUploadsAsync(request, token),
                    cancellationToken).ConfigureAwait(false);
                foreach (MultipartUpload upload in page.MultipartUploads ?? [])
                {
                    if (upload.Initiated is { } begun && Utc(begun) < limit && upload.Key.StartsWith(S3.Prefix, StringComparison.Ordinal))
                    {
                        await AbortUploadAsync(upload.Key[S3.Prefix.Length..], upload.UploadId).ConfigureAwait(false);
                    }
                }

                if (page.IsTruncated != true || string.IsNullOrEmpty(page.NextKeyMarker))
                {
                    return;
                }

                request.KeyMarker = page.NextKeyMarker;
                request.UploadIdMarker = page.NextUploadIdMarker;
            }
        }
        catch (SmcException)
        {
            // Not every account may list uploads, and not every server knows the request. Nothing but money depends on it.
        }
    }

    /// <summary>Asks for a setting of the bucket. What may not be asked, or is not known to the server, counts as absent.</summary>
    private async Task<bool> AskAsync(Func<CancellationToken, Task<bool>> ask, CancellationToken cancellationToken)
    {
        try
        {
            return await ask(cancellationToken).ConfigureAwait(false);
        }
        catch (AmazonS3Exception)
        {
            return false;
        }
        catch (Exception exception) when (S3Failure.IsForeseen(exception))
        {
            throw S3Failure.Translate("The bucket's settings cannot be read", exception, S3, null);
        }
    }
}
