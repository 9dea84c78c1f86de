using System.Security.Cryptography;
using System.Text;
using Amazon;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;

namespace SmcDr.Core.Encryption;

/// <summary>A key of the AWS Key Management Service, which wraps and unwraps there and never leaves it.</summary>
/// <remarks>
/// KMS is always told which key to use: that of the site. The envelope comes from the bucket, and a stranger could have wrapped a key that
/// he knows with a KMS key of his own, and let us use it.
/// </remarks>
internal sealed class AwsKmsSource : RepositoryKeySource
{
    private readonly string _key;
    private readonly Func<IAmazonKeyManagementService> _createClient;

    public AwsKmsSource(string key, Func<IAmazonKeyManagementService>? createClient)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        _key = key;
        _createClient = createClient ?? CreateClient;
        Fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)).AsSpan(0, 8));
    }

    /// <inheritdoc/>
    public override RecipientKind Kind => RecipientKind.AwsKms;

    /// <inheritdoc/>
    internal override string Fingerprint { get; }

    /// <summary>An envelope names its key by its ARN. An alias may stand for any.</summary>
    internal override bool MayOpen(Recipient recipient) =>
        base.MayOpen(recipient) && (!_key.Contains(":key/", StringComparison.Ordinal) || recipient.Fingerprint == _key);

    /// <inheritdoc/>
    internal override async Task<Recipient> WrapAsync(Recipient recipient, RepositoryKey key, CancellationToken cancellationToken)
    {
        byte[] plain = key.Bytes.ToArray();
        try
        {
            using IAmazonKeyManagementService client = _createClient();
            using MemoryStream content = new(plain);
            EncryptResponse answer = await client.EncryptAsync(
                new EncryptRequest { KeyId = _key, Plaintext = content, EncryptionContext = ContextOf(recipient) }, cancellationToken).ConfigureAwait(false);
            return recipient with { Kind = Kind, Fingerprint = answer.KeyId, WrappedKey = answer.CiphertextBlob.ToArray() };
        }
        catch (Exception exception) when (IsForeseen(exception))
        {
            throw Failure("cannot wrap the repository's key", exception, "kms:Encrypt");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }

    /// <inheritdoc/>
    internal override async Task<RepositoryKey?> TryUnwrapAsync(Recipient recipient, CancellationToken cancellationToken)
    {
        if (!MayOpen(recipient))
        {
            return null;
        }

        try
        {
            using IAmazonKeyManagementService client = _createClient();
            using MemoryStream wrapped = new(recipient.WrappedKey);
            DecryptResponse answer = await client.DecryptAsync(
                new DecryptRequest { KeyId = _key, CiphertextBlob = wrapped, EncryptionContext = ContextOf(recipient) }, cancellationToken).ConfigureAwait(false);
            byte[] key = answer.Plaintext.ToArray();
            if (answer.Plaintext.TryGetBuffer(out ArraySegment<byte> buffer))
            {
                CryptographicOperations.ZeroMemory(buffer);
            }

            return RepositoryKey.TryTake(key);
        }
        catch (Exception exception) when (exception is IncorrectKeyException or InvalidCiphertextException)
        {
            return null;
        }
        catch (Exception exception) when (IsForeseen(exception))
        {
            throw Failure("cannot unwrap the repository's key", exception, "kms:Decrypt");
        }
    }

    /// <inheritdoc/>
    internal override void AppendSecret(IncrementalHash digest) => digest.AppendData(Encoding.UTF8.GetBytes(_key));

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // The secret is with KMS.
    }

    private static bool IsForeseen(Exception exception) =>
        exception is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException;

    private static Dictionary<string, string> ContextOf(Recipient recipient) => new()
    {
        ["smcdr:repository"] = recipient.RepositoryId.ToString("D"),
        ["smcdr:key"] = recipient.KeyId,
        ["smcdr:recipient"] = recipient.Name,
    };

    private AmazonKeyManagementServiceClient CreateClient()
    {
        // arn:aws:kms:eu-central-1:123456789012:key/...
        string[] parts = _key.Split(':');
        return parts.Length > 3 && parts[3].Length > 0
            ? new AmazonKeyManagementServiceClient(RegionEndpoint.GetBySystemName(parts[3]))
            : new AmazonKeyManagementServiceClient();
    }

    private SmcException Failure(string what, Exception exception, string permission) => new(
        SmcErrorCode.SecretUnavailable,
        $"AWS KMS {what} with '{_key}': {exception.Message}",
        exception,
        $"Check that the key exists and is enabled, that its region is right, and that the credentials in use may {permission} with it.",
        _key);
}
