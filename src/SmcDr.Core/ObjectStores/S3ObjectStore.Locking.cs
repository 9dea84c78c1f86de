using System.Net;
using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <content>Object Lock.</content>
public sealed partial class S3ObjectStore
{
    // What a server says that does not know the request, and what S3 says of a bucket that was created without Object Lock.
    private static readonly string[] s_noLock =
        ["InvalidRequest", "NotImplemented", "ObjectLockConfigurationNotFoundError", "InvalidArgument", "MethodNotAllowed"];

    /// <inheritdoc/>
    /// <remarks>
    /// The newest version is locked, which is the only one: nothing is ever overwritten. S3 accepts a delete of a locked object without a
    /// version and hides it behind a delete marker; the locked version stays, and is back when that marker is removed.
    /// </remarks>
    public async Task LockAsync(string key, DateTimeOffset until, ObjectLockMode mode, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        try
        {
            ObjectLockRetention? present = await GetLockAsync(key, cancellationToken).ConfigureAwait(false);
            bool isCompliance = present?.Mode == ObjectLockRetentionMode.Compliance;
            bool lasts = present?.RetainUntilDate is { } end && Utc(end) >= until;
            if (lasts && (isCompliance || mode == ObjectLockMode.Governance))
            {
                return;
            }

            // Milliseconds are dropped on the way: rounded up, so that it lasts as long as was asked for. Where the present lock is weaker
            // and lasts longer, it is made firm and not short.
            DateTimeOffset last = lasts ? Utc(present!.RetainUntilDate!.Value) : until.AddTicks(TimeSpan.TicksPerSecond - 1);
            await RunAsync(
                $"The object '{key}' cannot be locked",
                key,
                0,
                token => _client.PutObjectRetentionAsync(
                    new PutObjectRetentionRequest
                    {
                        BucketName = S3.Bucket,
                        Key = S3.Prefix + key,
                        Retention = new ObjectLockRetention
                        {
                            Mode = isCompliance || mode == ObjectLockMode.Compliance
                                ? ObjectLockRetentionMode.Compliance
                                : ObjectLockRetentionMode.Governance,
                            RetainUntilDate = new DateTime(last.UtcTicks - (last.UtcTicks % TimeSpan.TicksPerSecond), DateTimeKind.Utc),
                        },
                    },
                    token),
                cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException exception) when (exception.InnerException is AmazonS3Exception answer &&
            (s_noLock.Contains(answer.ErrorCode) || answer.StatusCode is HttpStatusCode.NotImplemented or HttpStatusCode.MethodNotAllowed))
        {
            throw new SmcException(
                SmcErrorCode.LockUnsupported,
                $"The bucket of {Location} cannot lock objects: {answer.Message.TrimEnd('.')}.",
                exception,
                target: Location);
        }
    }

    private Task<ObjectLockRetention?> GetLockAsync(string key, CancellationToken cancellationToken) => RunAsync(
        $"Whether the object '{key}' is locked cannot be found out",
        key,
        0,
        async token =>
        {
            try
            {
                GetObjectRetentionResponse response = await _client
                    .GetObjectRetentionAsync(new GetObjectRetentionRequest { BucketName = S3.Bucket, Key = S3.Prefix + key }, token)
                    .ConfigureAwait(false);
                return response.Retention;
            }
            catch (AmazonS3Exception exception) when (exception.ErrorCode == "NoSuchObjectLockConfiguration")
            {
                return null;
            }
        },
        cancellationToken);
}
