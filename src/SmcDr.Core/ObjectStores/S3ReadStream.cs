using Amazon.Runtime;
using Amazon.S3.Model;

namespace SmcDr.Core.ObjectStores;

/// <summary>
/// A range of an S3 object. Long transfers are cut as a matter of course, often without any error, so what was received is counted, and
/// the rest is asked for again as long as the object is still the same.
/// </summary>
internal sealed class S3ReadStream(
    S3ObjectStore store, string key, long offset, long end, string? entityTag, GetObjectResponse opened) : ObjectReadStream
{
    /// <summary>A transfer that got this far since it was last resumed has earned a fresh set of retries.</summary>
    private const long Progress = 1024 * 1024;

    private GetObjectResponse? _response = opened;
    private long _position = offset;
    private long _resumedAt = offset;
    private int _failures;

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int wanted = (int)Math.Min(buffer.Length, end - _position);
        if (wanted == 0)
        {
            return 0;
        }

        while (true)
        {
            Exception? failure = null;
            if (_response is null)
            {
                _response = await store.OpenRangeAsync(key, _position, end, entityTag, cancellationToken).ConfigureAwait(false);
                _resumedAt = _position;
            }

            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(store.Options.Silence);
            try
            {
                int read = await _response.ResponseStream.ReadAsync(buffer[..wanted], patience.Token).ConfigureAwait(false);
                if (read > 0)
                {
                    _position += read;
                    if (_position - _resumedAt >= Progress)
                    {
                        _failures = 0;
                    }

                    return read;
                }
            }
            catch (AmazonClientException exception)
            {
                // The checksum that S3 keeps of the whole object is compared at its last byte.
                throw new SmcException(
                    SmcErrorCode.ChecksumMismatch,
                    $"The object '{key}' in {store.Location} does not match its checksum: {exception.Message}",
                    exception,
                    target: key);
            }
            catch (Exception exception) when (
                exception is IOException or HttpRequestException
                || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                failure = exception;
            }

            _response.Dispose();
            _response = null;
            if (++_failures > store.Options.Retries)
            {
                throw new SmcException(
                    SmcErrorCode.StorageUnavailable,
                    $"The transfer of the object '{key}' from {store.Location} keeps ending early, the last time at byte {_position} of {end}.",
                    failure,
                    target: key);
            }

            await S3ObjectStore.BackOffAsync(_failures, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _response?.Dispose();
            _response = null;
        }

        base.Dispose(disposing);
    }
}
