using System.Security.Cryptography;

namespace SmcDr.Core.Encryption;

/// <summary>A key that objects are encrypted under: 32 random bytes, which never leave memory except wrapped for a recipient.</summary>
internal sealed class RepositoryKey : IDisposable
{
    public const int Length = 32;

    /// <summary>An id is 64 bits of a derived value, which tells keys apart and says nothing of them.</summary>
    public const int IdLength = 8;

    // Pinned, so that the garbage collector leaves no copies behind when it moves things.
    private readonly byte[] _key = GC.AllocateUninitializedArray<byte>(Length, pinned: true);
    private bool _disposed;

    private RepositoryKey(ReadOnlySpan<byte> key)
    {
        key.CopyTo(_key);
        Span<byte> id = stackalloc byte[IdLength];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _key, id, [], "SmcDr key id 1"u8);
        Id = Convert.ToHexStringLower(id);
    }

    /// <summary>16 hexadecimal digits in lower case.</summary>
    public string Id { get; }

    /// <summary>The key itself, for wrapping.</summary>
    public ReadOnlyMemory<byte> Bytes => Alive();

    /// <summary>Makes a new key.</summary>
    public static RepositoryKey Create()
    {
        Span<byte> key = stackalloc byte[Length];
        RandomNumberGenerator.Fill(key);
        try
        {
            return new RepositoryKey(key);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>Takes an unwrapped key over, which is zeroed; null where it has not the length of one.</summary>
    public static RepositoryKey? TryTake(byte[] key)
    {
        try
        {
            return key.Length == Length ? new RepositoryKey(key) : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>Derives a key for one purpose; who asked zeroes it.</summary>
    public void Derive(ReadOnlySpan<byte> salt, ReadOnlySpan<byte> info, Span<byte> derived) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, Alive(), derived, salt, info);

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_key);
    }

    private byte[] Alive()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _key;
    }
}
