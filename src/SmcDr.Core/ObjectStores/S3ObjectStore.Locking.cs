using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <content>Object Lock.</content>
public sealed partial class S3ObjectStore
{
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
            // By the object's head, which more servers know than the request for its lock, and which costs no other right.
            GetObjectMetadataResponse present = await TryHeadAsync(key, cancellationToken).ConfigureAwait(false)
                ?? throw new SmcException(
                    SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", target: key);
            DateTimeOffset? end = present.ObjectLockRetainUntilDate is { } date ? Utc(date) : null;
            bool isCompliance = present.ObjectLockMode == Amazon.S3.ObjectLockMode.Compliance;
            bool lasts = end >= until;
            if (lasts && (isCompliance || mode == ObjectLockMode.Governance))
            {
                return;
            }

            // Milliseconds are dropped on the way: rounded up, so that it lasts as long as was asked for. Where the present lock is weaker
            // and lasts longer, it is made firm and not short.
            DateTimeOffset last = lasts ? end!.Value : until.AddTicks(TimeSpan.TicksPerSecond - 1);
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
        catch (SmcException exception) when (exception.Code != SmcErrorCode.ObjectNotFound)
        {
            // Servers say in many ways that they cannot; the bucket's own word is clear. Who may not ask for it knows nothing.
            if (await HasObjectLockAsync(cancellationToken).ConfigureAwait(false) != false)
            {
                throw;
            }

            throw new SmcException(
                SmcErrorCode.LockUnsupported, $"The bucket of {Location} was created without Object Lock.", exception, target: Location);
        }
    }
}
