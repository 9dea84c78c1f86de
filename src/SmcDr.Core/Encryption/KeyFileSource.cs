using System.Security.Cryptography;

namespace SmcDr.Core.Encryption;

/// <summary>The 32 bytes of a key file.</summary>
internal sealed class KeyFileSource : RepositoryKeySource
{
    private const int SaltLength = 32;

    private readonly byte[] _secret;

    /// <summary>Takes the bytes over.</summary>
    public KeyFileSource(byte[] secret)
    {
        _secret = secret;
        Span<byte> id = stackalloc byte[8];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _secret, id, [], "SmcDr key file id 1"u8);
        Fingerprint = Convert.ToHexStringLower(id);
    }

    /// <inheritdoc/>
    public override RecipientKind Kind => RecipientKind.KeyFile;

    /// <inheritdoc/>
    internal override string Fingerprint { get; }

    /// <inheritdoc/>
    internal override bool MayOpen(Recipient recipient) => base.MayOpen(recipient) && recipient.Fingerprint == Fingerprint;

    /// <inheritdoc/>
    internal override Task<Recipient> WrapAsync(Recipient recipient, RepositoryKey key, CancellationToken cancellationToken)
    {
        byte[] salt = RandomNumberGenerator.GetBytes(SaltLength);
        recipient = recipient with { Kind = Kind, Fingerprint = Fingerprint, Salt = salt };
        Span<byte> wrappingKey = stackalloc byte[RepositoryKey.Length];
        try
        {
            Derive(salt, wrappingKey);
            return Task.FromResult(recipient with { WrappedKey = Encrypt(wrappingKey, recipient, key) });
        }
        finally
        {
            CryptographicOperations.ZeroMemory(wrappingKey);
        }
    }

    /// <inheritdoc/>
    internal override Task<RepositoryKey?> TryUnwrapAsync(Recipient recipient, CancellationToken cancellationToken)
    {
        if (!MayOpen(recipient) || recipient.Salt is not { } salt)
        {
            return Task.FromResult<RepositoryKey?>(null);
        }

        Span<byte> wrappingKey = stackalloc byte[RepositoryKey.Length];
        try
        {
            Derive(salt, wrappingKey);
            return Task.FromResult(TryDecrypt(wrappingKey, recipient));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(wrappingKey);
        }
    }

    /// <inheritdoc/>
    internal override void AppendSecret(IncrementalHash digest) => digest.AppendData(_secret);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => CryptographicOperations.ZeroMemory(_secret);

    private void Derive(ReadOnlySpan<byte> salt, Span<byte> wrappingKey) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _secret, wrappingKey, salt, "SmcDr key file 1"u8);
}
