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
public sealed partial class S3ObjectStore : IObjectStore
{
    private static readonly TimeSpan s_abortTime = TimeSpan.FromSeconds(30);

    private readonly AmazonS3Client _client;

    /// <summary>Creates a store. Nothing is sent yet.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.LocationInvalid"/>: neither the location nor the environment names a region.
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

    /// <inheritdoc/>
    public string Location { get; }

    internal S3Location S3 { get; }

    internal S3ObjectStoreOptions Options { get; }

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
    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Waits before a repetition: exponentially longer, with full jitter so that many clients do not come back at once.</summary>
    internal static Task BackOffAsync(int failures, CancellationToken cancellationToken)
    {
        double most = Math.Min(20_000, 100 * Math.Pow(2, failures - 1));
        return Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * most), cancellationToken);
    }

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
}
