using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Encryption;

/// <summary>What opens a repository: a recipient's secret, or the way to it.</summary>
public abstract class RepositoryKeySource : IDisposable
{
    private protected const int NonceLength = 12;

    /// <summary>How many iterations of key derivation one opening may take over all envelopes: a hostile store must not keep us busy.</summary>
    internal const long MaximumTotalIterations = 20_000_000;

    /// <summary>What is wrapped with.</summary>
    public abstract RecipientKind Kind { get; }

    /// <summary>Which one it is, where that may be told: never anything that a secret could be guessed from.</summary>
    internal abstract string? Fingerprint { get; }

    /// <summary>A key file's text, or else a passphrase.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyInvalid"/>.</exception>
    public static RepositoryKeySource FromSecret(string secret) => KeyFile.IsOne(secret)
        ? new KeyFileSource(KeyFile.Parse(secret))
        : new PassphraseSource(secret);

    /// <summary>A passphrase, whatever it looks like.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyInvalid"/>: there is nothing in it.</exception>
    public static RepositoryKeySource FromPassphrase(string passphrase) => new PassphraseSource(passphrase);

    /// <summary>A key of the AWS Key Management Service.</summary>
    /// <param name="key">The key's ARN, or that of an alias, or <c>alias/name</c> in the region of the environment.</param>
    public static RepositoryKeySource FromAwsKms(string key) => new AwsKmsSource(key, null);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Whether an envelope could be for this recipient, by what it says of itself.</summary>
    internal virtual bool MayOpen(Recipient recipient) => recipient.Kind == Kind;

    /// <summary>A name for a recipient that was given none.</summary>
    internal virtual string DefaultName => $"{Kind.ToString().ToLowerInvariant()}-{Fingerprint![..8]}";

    /// <summary>Adds what this opens with to a digest that never leaves the process, so that two can be told apart by it.</summary>
    internal abstract void AppendSecret(IncrementalHash digest);

    /// <summary>Fills in how the key is wrapped.</summary>
    internal abstract Task<Recipient> WrapAsync(Recipient recipient, RepositoryKey key, CancellationToken cancellationToken);

    /// <summary>Unwraps the key; null where this is not the envelope's recipient.</summary>
    internal abstract Task<RepositoryKey?> TryUnwrapAsync(Recipient recipient, CancellationToken cancellationToken);

    /// <summary>Zeroes the secret.</summary>
    protected abstract void Dispose(bool disposing);

    private protected static byte[] Encrypt(ReadOnlySpan<byte> wrappingKey, Recipient recipient, RepositoryKey key)
    {
        byte[] wrapped = new byte[NonceLength + RepositoryKey.Length + FrameLayout.TagLength];
        RandomNumberGenerator.Fill(wrapped.AsSpan(0, NonceLength));
        using AesGcm aes = new(wrappingKey, FrameLayout.TagLength);
        aes.Encrypt(
            wrapped.AsSpan(0, NonceLength),
            key.Bytes.Span,
            wrapped.AsSpan(NonceLength, RepositoryKey.Length),
            wrapped.AsSpan(NonceLength + RepositoryKey.Length),
            AssociatedDataOf(recipient));
        return wrapped;
    }

    private protected static RepositoryKey? TryDecrypt(ReadOnlySpan<byte> wrappingKey, Recipient recipient)
    {
        if (recipient.WrappedKey.Length != NonceLength + RepositoryKey.Length + FrameLayout.TagLength)
        {
            return null;
        }

        ReadOnlySpan<byte> wrapped = recipient.WrappedKey;
        byte[] key = GC.AllocateUninitializedArray<byte>(RepositoryKey.Length, pinned: true);
        using AesGcm aes = new(wrappingKey, FrameLayout.TagLength);
        try
        {
            aes.Decrypt(
                wrapped[..NonceLength],
                wrapped.Slice(NonceLength, RepositoryKey.Length),
                wrapped[(NonceLength + RepositoryKey.Length)..],
                key,
                AssociatedDataOf(recipient));
            return RepositoryKey.TryTake(key);
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    /// <summary>What an envelope is bound to: it opens in its own place only.</summary>
    private static byte[] AssociatedDataOf(Recipient recipient) =>
        Encoding.UTF8.GetBytes($"SmcDr recipient 1\0{recipient.RepositoryId:D}\0{recipient.KeyId}\0{recipient.Name}");
}
