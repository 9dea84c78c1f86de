using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <content>Writing, so that nothing is overwritten and what was written is known.</content>
public sealed partial class S3ObjectStore
{
    private const string TagName = "smcdr-write";

    private volatile Condition _condition;
    private volatile bool _sendMd5;

    /// <summary>How far a server's word on conditional writes is to be relied on.</summary>
    private enum Condition
    {
        Unknown,
        Trusted,
        Ignored,
        Refused,
    }

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

    internal static string NewTag() => Guid.NewGuid().ToString("N");

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
                        throw new AmazonS3Exception(
                            "The answer to the completion names no object.",
                            ErrorType.Receiver,
                            "InternalError",
                            requestId: "",
                            HttpStatusCode.OK);
                    }
                }),
            cancellationToken).ConfigureAwait(false);
        if (!stored)
        {
            await EnsureOwnAsync(
                key,
                tag,
                length,
                () => [.. parts.Select(static part => Convert.FromHexString(part.ETag.Trim('"')))],
                cancellationToken).ConfigureAwait(false);
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
                $"The object '{key}' in {Location} was not stored: the server refused it as existing, or gave its upload up, "
                + "and yet it does not exist.",
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
            if (all.Length == 1)
            {
                return Convert.ToHexStringLower(all[0]);
            }

            string hashOfHashes = Convert.ToHexStringLower(Md5([.. all.SelectMany(static hash => hash)]));
            return string.Create(CultureInfo.InvariantCulture, $"{hashOfHashes}-{all.Length}");
        }
        catch (FormatException)
        {
            // With some kinds of encryption the tags of parts are no hashes.
            return null;
        }
    }
}
