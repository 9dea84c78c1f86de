using System.Net;
using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <content>Finding out what the server does.</content>
public sealed partial class S3ObjectStore
{
    private static readonly TimeSpan s_uploadLife = TimeSpan.FromDays(7);

    /// <inheritdoc/>
    /// <remarks>
    /// Also gives up multipart uploads below the location that were begun over a week ago, so by writers long killed: they are paid
    /// for, and no list of objects shows them. Not where the location is a whole bucket, in which others may be at work.
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
        if (S3.Prefix.Length > 0)
        {
            await AbortForgottenUploadsAsync(cancellationToken).ConfigureAwait(false);
        }

        bool? versioning = await AskAsync(
            async token =>
            {
                GetBucketVersioningResponse response = await _client
                    .GetBucketVersioningAsync(new GetBucketVersioningRequest { BucketName = S3.Bucket }, token)
                    .ConfigureAwait(false);
                return response.VersioningConfig?.Status == VersionStatus.Enabled;
            },
            cancellationToken).ConfigureAwait(false);
        bool? objectLock = await HasObjectLockAsync(cancellationToken).ConfigureAwait(false);
        return new ObjectStoreCapabilities(_condition == Condition.Trusted, versioning == true, objectLock == true);
    }

    private Task<bool?> HasObjectLockAsync(CancellationToken cancellationToken) => AskAsync(
        async token =>
        {
            GetObjectLockConfigurationResponse response = await _client
                .GetObjectLockConfigurationAsync(new GetObjectLockConfigurationRequest { BucketName = S3.Bucket }, token)
                .ConfigureAwait(false);
            return response.ObjectLockConfiguration?.ObjectLockEnabled == ObjectLockEnabled.Enabled;
        },
        cancellationToken);

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

    /// <summary>Asks for a setting of the bucket. What is not known to the server is absent; null where it may not be asked.</summary>
    private async Task<bool?> AskAsync(Func<CancellationToken, Task<bool>> ask, CancellationToken cancellationToken)
    {
        try
        {
            return await ask(cancellationToken).ConfigureAwait(false);
        }
        catch (AmazonS3Exception exception)
        {
            return exception.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized ? null : false;
        }
        catch (Exception exception) when (S3Failure.IsForeseen(exception))
        {
            throw S3Failure.Translate("The bucket's settings cannot be read", exception, S3, null);
        }
    }
}
