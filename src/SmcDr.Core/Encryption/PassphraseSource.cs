using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Encryption;

/// <summary>A passphrase, out of which PBKDF2 makes the wrapping key.</summary>
internal sealed class PassphraseSource : RepositoryKeySource
{
    /// <summary>What OWASP recommends for SHA-256, and nearly three times that for SHA-512; half a second on an ordinary machine.</summary>
    public const int DefaultIterations = 600_000;

    private const int MaximumIterations = 10_000_000;
    private const int MinimumLength = 12;
    private const int SaltLength = 32;

    private readonly byte[] _passphrase;
    private readonly int _length;

    /// <summary>Takes a passphrase.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyInvalid"/>: there is nothing in it.</exception>
    public PassphraseSource(string passphrase)
    {
        if (string.IsNullOrWhiteSpace(passphrase))
        {
            throw new SmcException(SmcErrorCode.KeyInvalid, "The passphrase is empty.");
        }

        // One and the same letter may be typed as one character or as two (Unicode Standard Annex 15).
        _passphrase = Encoding.UTF8.GetBytes(passphrase.Normalize(NormalizationForm.FormC));
        _length = passphrase.Length;
    }

    /// <inheritdoc/>
    public override RecipientKind Kind => RecipientKind.Passphrase;

    /// <summary>Nothing may be told: a digest of a passphrase is what guessing begins with.</summary>
    internal override string? Fingerprint => null;

    /// <inheritdoc/>
    internal override string DefaultName => $"passphrase-{RandomNumberGenerator.GetHexString(8, lowercase: true)}";

    /// <inheritdoc/>
    internal override Task<Recipient> WrapAsync(Recipient recipient, RepositoryKey key, CancellationToken cancellationToken)
    {
        if (_length < MinimumLength)
        {
            throw new SmcException(
                SmcErrorCode.KeyInvalid,
                $"The passphrase has {_length} characters and needs {MinimumLength}: whoever can read the repository can try passphrases for years.");
        }

        byte[] salt = RandomNumberGenerator.GetBytes(SaltLength);
        recipient = recipient with { Kind = Kind, Salt = salt, Iterations = DefaultIterations };
        return Task.Run(
            () => UsingKey(salt, DefaultIterations, wrappingKey => recipient with { WrappedKey = Encrypt(wrappingKey, recipient, key) }),
            cancellationToken);
    }

    /// <inheritdoc/>
    internal override bool MayOpen(Recipient recipient) =>
        base.MayOpen(recipient)
        && recipient is { Salt.Length: >= 16 and <= 1024, Iterations: >= DefaultIterations and <= MaximumIterations };

    /// <inheritdoc/>
    internal override Task<RepositoryKey?> TryUnwrapAsync(Recipient recipient, CancellationToken cancellationToken) =>
        MayOpen(recipient)
            ? Task.Run(
                () => UsingKey(recipient.Salt!, recipient.Iterations!.Value, wrappingKey => TryDecrypt(wrappingKey, recipient)), cancellationToken)
            : Task.FromResult<RepositoryKey?>(null);

    /// <inheritdoc/>
    internal override void AppendSecret(IncrementalHash digest) => digest.AppendData(_passphrase);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => CryptographicOperations.ZeroMemory(_passphrase);

    private T UsingKey<T>(byte[] salt, int iterations, Func<byte[], T> use)
    {
        byte[] wrappingKey = GC.AllocateUninitializedArray<byte>(RepositoryKey.Length, pinned: true);
        try
        {
            Rfc2898DeriveBytes.Pbkdf2(_passphrase, salt, wrappingKey, iterations, HashAlgorithmName.SHA512);
            return use(wrappingKey);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(wrappingKey);
        }
    }
}
